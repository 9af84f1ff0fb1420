package procfs

import (
	"bytes"
	"fmt"
	"strings"
)

// MappedArea is an entry of /proc/PID/smaps (proc_pid_smaps(5)).
type MappedArea struct {
	VMA
	KernelPageSize uint64 // bytes; that of a MAP_HUGETLB mapping is larger than the base page
	Rss            uint64 // bytes present
	Swap           uint64 // bytes
	ProtectionKey  uint64 // pkeys(7); 0 is the default one
	// VmFlags, two letters each, joined by blanks: "rd wr mr mw me ac sd".
	Flags string
}

// Has tells whether a flag of two letters is set.
func (a *MappedArea) Has(flag string) bool {
	for f := range strings.SplitSeq(a.Flags, " ") {
		if f == flag {
			return true
		}
	}
	return false
}

// ReadSmaps reads the mappings of a process with their flags, by address. It
// costs the kernel a walk over every page table of the process.
func ReadSmaps(pid int) ([]MappedArea, error) {
	text, err := ReadFile(fmt.Sprintf("/proc/%d/smaps", pid))
	if err != nil {
		return nil, err
	}
	return ParseSmaps(text)
}

// ParseSmaps parses the text of /proc/PID/smaps.
func ParseSmaps(text []byte) ([]MappedArea, error) {
	var areas []MappedArea
	names, flags := names{}, names{}
	for line := range bytes.Lines(text) {
		line = bytes.TrimSuffix(line, []byte{'\n'})
		bad := func() error {
			return fmt.Errorf("a line of /proc/PID/smaps is not as proc_pid_smaps(5) has it: %q", line)
		}
		// "Key:   value" begins with a capital letter, a mapping with a digit
		// or a small one.
		if len(line) == 0 || line[0] < 'A' || line[0] > 'Z' {
			v, ok := parseVMA(line, names)
			if !ok {
				return nil, bad()
			}
			areas = append(areas, MappedArea{VMA: v})
			continue
		}
		if len(areas) == 0 {
			return nil, bad()
		}
		a := &areas[len(areas)-1]
		var to *uint64
		key, value, _ := bytes.Cut(line, []byte{':'})
		switch string(key) {
		case "VmFlags":
			a.Flags = flags.of(bytes.TrimSpace(value))
			continue
		case "KernelPageSize":
			to = &a.KernelPageSize
		case "Rss":
			to = &a.Rss
		case "Swap":
			to = &a.Swap
		case "ProtectionKey":
			s := scanner{rest: bytes.TrimLeft(value, " "), ok: true}
			if a.ProtectionKey = s.decimal(); !s.ok {
				return nil, bad()
			}
			continue
		default:
			continue
		}
		s := scanner{rest: bytes.TrimLeft(value, " "), ok: true}
		kib := s.decimal()
		if !s.ok || kib >= 1<<54 || string(s.rest) != " kB" {
			return nil, bad()
		}
		*to = kib << 10
	}
	return areas, nil
}
