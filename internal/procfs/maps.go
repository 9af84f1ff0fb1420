package procfs

import (
	"bytes"
	"fmt"

	"golang.org/x/sys/unix"
)

// VMA is a line of /proc/PID/maps (proc_pid_maps(5)): a mapping, as struct
// vm_area_struct of the kernel is called.
type VMA struct {
	Start, End   uint64 // addresses; End is the first one after it
	Prot         uint32 // unix.PROT_READ, PROT_WRITE, PROT_EXEC
	Shared       bool   // MAP_SHARED
	Offset       uint64 // bytes into the file
	Major, Minor uint32 // device of the file; both 0, and the inode too, without one
	Inode        uint64
	// Path of the file, or a name of the kernel's such as "[heap]"; " (deleted)"
	// at its end is kept. Newlines are unescaped.
	Path string
}

// ReadMaps reads the mappings of a process, by address.
func ReadMaps(pid int) ([]VMA, error) {
	text, err := ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return nil, err
	}
	return ParseMaps(text)
}

// ParseMaps parses the text of /proc/PID/maps.
func ParseMaps(text []byte) ([]VMA, error) {
	vmas := make([]VMA, 0, bytes.Count(text, []byte{'\n'}))
	names := names{}
	for line := range bytes.Lines(text) {
		line = bytes.TrimSuffix(line, []byte{'\n'})
		v, ok := parseVMA(line, names)
		if !ok {
			return nil, fmt.Errorf("a line of /proc/PID/maps is not as proc_pid_maps(5) has it: %q", line)
		}
		vmas = append(vmas, v)
	}
	return vmas, nil
}

// names keeps one string for each path: a process with 20,000 mappings has few
// different ones.
type names map[string]string

func (n names) of(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if s, ok := n[string(b)]; ok { // does not allocate
		return s
	}
	s := string(b)
	n[s] = string(bytes.ReplaceAll(b, []byte(`\012`), []byte{'\n'}))
	return n[s]
}

// parseVMA parses "start-end rwxp offset major:minor inode    path".
func parseVMA(line []byte, names names) (v VMA, ok bool) {
	s := scanner{rest: line, ok: true}
	v.Start = s.hex('-')
	v.End = s.hex(' ')
	perms := s.word()
	v.Offset = s.hex(' ')
	v.Major = uint32(s.hex(':'))
	v.Minor = uint32(s.hex(' '))
	v.Inode = s.decimal()
	if !s.ok || len(perms) != 4 || v.End <= v.Start {
		return v, false
	}
	for i, bit := range [...]uint32{unix.PROT_READ, unix.PROT_WRITE, unix.PROT_EXEC} {
		switch perms[i] {
		case "rwx"[i]:
			v.Prot |= bit
		case '-':
		default:
			return v, false
		}
	}
	switch perms[3] {
	case 's':
		v.Shared = true
	case 'p':
	default:
		return v, false
	}
	v.Path = names.of(bytes.TrimLeft(s.rest, " "))
	return v, true
}

// scanner takes words off the begin of a line.
type scanner struct {
	rest []byte
	ok   bool
}

// hex takes a hexadecimal number and the delimiter after it.
func (s *scanner) hex(delimiter byte) uint64 {
	var n uint64
	for i, c := range s.rest {
		switch {
		case c == delimiter && i > 0:
			s.rest = s.rest[i+1:]
			return n
		case n>>60 != 0:
			s.ok = false
			return 0
		case c >= '0' && c <= '9':
			n = n<<4 | uint64(c-'0')
		case c >= 'a' && c <= 'f':
			n = n<<4 | uint64(c-'a'+10)
		default:
			s.ok = false
			return 0
		}
	}
	s.ok = false
	return 0
}

// decimal takes a decimal number; it ends at a blank or with the line.
func (s *scanner) decimal() uint64 {
	var n uint64
	i := 0
	for ; i < len(s.rest) && s.rest[i] != ' '; i++ {
		c := s.rest[i]
		if c < '0' || c > '9' || n > (1<<64-1)/10-1 {
			s.ok = false
			return 0
		}
		n = n*10 + uint64(c-'0')
	}
	s.ok = s.ok && i > 0
	s.rest = s.rest[i:]
	return n
}

// word takes all up to the next blank, and that.
func (s *scanner) word() []byte {
	i := bytes.IndexByte(s.rest, ' ')
	if i < 0 {
		s.ok = false
		return nil
	}
	w := s.rest[:i]
	s.rest = s.rest[i+1:]
	return w
}
