package procfs

import (
	"fmt"
	"strconv"
	"strings"
)

// FDInfo is /proc/PID/fdinfo/FD (proc_pid_fdinfo(5)).
type FDInfo struct {
	Position int64
	Flags    uint64 // O_*, O_CLOEXEC included, O_LARGEFILE as the kernel has it
	MountID  int
	Inode    uint64 // 0 before Linux 5.14
	// What a kind of file adds, a "key: value" each, in its order.
	More []FDInfoLine
}

// FDInfoLine is one line of a kind of file: "eventfd-count: 3".
type FDInfoLine struct{ Key, Value string }

// Get returns the value of the first line with a key.
func (f *FDInfo) Get(key string) (string, bool) {
	for _, l := range f.More {
		if l.Key == key {
			return l.Value, true
		}
	}
	return "", false
}

// ReadFDInfo reads /proc/PID/fdinfo/FD.
func ReadFDInfo(pid, fd int) (*FDInfo, error) {
	text, err := ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%d", pid, fd))
	if err != nil {
		return nil, err
	}
	return ParseFDInfo(string(text))
}

// ParseFDInfo parses the text of a file in /proc/PID/fdinfo.
func ParseFDInfo(text string) (*FDInfo, error) {
	f := &FDInfo{}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		key, value, found := strings.Cut(line, ":")
		if !found {
			f.More = append(f.More, FDInfoLine{Key: line})
			continue
		}
		value = strings.TrimSpace(value)
		var err error
		switch key {
		case "pos":
			f.Position, err = strconv.ParseInt(value, 10, 64)
		case "flags":
			f.Flags, err = strconv.ParseUint(value, 8, 64)
		case "mnt_id":
			f.MountID, err = strconv.Atoi(value)
		case "ino":
			f.Inode, err = strconv.ParseUint(value, 10, 64)
		default:
			f.More = append(f.More, FDInfoLine{Key: key, Value: value})
		}
		if err != nil {
			return nil, fmt.Errorf("a line of /proc/PID/fdinfo is not as proc_pid_fdinfo(5) has it: %q", line)
		}
	}
	return f, nil
}
