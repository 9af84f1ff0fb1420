package format

import (
	"path"
	"strconv"
	"strings"
)

// Layers are the directories that an overlay is made of, as its options name them.
type Layers struct {
	// Options are all that mount(2) takes, as it takes them.
	Options string
	Lower   []string // from the top to the bottom, without those that only have data
	Data    []string
	Upper   string // empty: it is read-only
	Work    string
	// Volatile, Index: options of these names are on.
	Volatile, Index bool
}

// Layers reads the options of an overlay. mountinfo has them as they were given, but
// for blanks, commas and backslashes in them (seq_show_option, fs/overlayfs/params.c).
func (f *FileSystem) Layers() *Layers {
	l := &Layers{}
	var options []string
	for o := range strings.SplitSeq(f.GetOptions(), ",") {
		key, value, has := strings.Cut(o, "=")
		value = fromOctal(value)
		switch key {
		case "", "rw", "ro", "seclabel":
			continue
		case "lowerdir":
			lower, data := splitLower(value)
			l.Lower, l.Data = append(l.Lower, lower...), append(l.Data, data...)
		case "lowerdir+":
			l.Lower = append(l.Lower, value)
		case "datadir+":
			l.Data = append(l.Data, value)
		case "upperdir":
			l.Upper = unescaped(value)
		case "workdir":
			l.Work = unescaped(value)
		case "volatile":
			l.Volatile = true
		case "fsync": // the same, as Linux 6.18.44 shows it
			l.Volatile = l.Volatile || value == "volatile"
		case "index", "nfs_export":
			l.Index = l.Index || value == "on"
		}
		if has {
			key += "=" + value
		}
		options = append(options, key)
	}
	l.Options = strings.Join(options, ",")
	return l
}

// All are all directories, the topmost first.
func (l *Layers) All() []string {
	all := append(append([]string{}, l.Lower...), l.Data...)
	if l.Upper != "" {
		all = append([]string{l.Upper}, append(all, l.Work)...)
	}
	return all
}

// Paths are those of All, as they count from the root of their mount namespace.
func (o *Overlay) Paths(l *Layers) []string {
	var all []string
	for _, dir := range l.All() {
		all = append(all, o.Path(dir))
	}
	return all
}

// Path is one of them.
func (o *Overlay) Path(dir string) string {
	if strings.HasPrefix(dir, "/") {
		return path.Clean(dir)
	}
	return path.Join(o.Directory, dir)
}

// splitLower splits the value of lowerdir: colons are between directories, two
// before those that have only data; a backslash takes the meaning of what follows.
func splitLower(value string) (lower, data []string) {
	var name strings.Builder
	to := &lower
	end := func() {
		if name.Len() > 0 {
			*to = append(*to, name.String())
		}
		name.Reset()
	}
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case c == '\\' && i+1 < len(value):
			i++
			name.WriteByte(value[i])
		case c == ':':
			end()
			if i+1 < len(value) && value[i+1] == ':' {
				to = &data
			}
		default:
			name.WriteByte(c)
		}
	}
	end()
	return lower, data
}

// unescaped is a text without the backslashes that take the meaning of a character.
func unescaped(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// fromOctal turns "\054" into the character that the kernel has written so.
func fromOctal(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
