package procfs

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// MappedArea is an entry of /proc/PID/smaps (proc_pid_smaps(5)).
type MappedArea struct {
	VMA
	KernelPageSize uint64 // bytes; that of a MAP_HUGETLB mapping is larger than the base page
	Rss            uint64 // bytes present
	Swap           uint64 // bytes
	SwapPss        uint64 // bytes; of a slot that others have too its share only
	SharedBytes    uint64 // bytes present that others have mapped too
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
// costs the kernel a walk over every page table of the process. The text, some
// 700 bytes for each mapping, is parsed as it comes.
func ReadSmaps(pid int) ([]MappedArea, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/smaps", pid))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p := newSmaps()
	const longest = 64 << 10 // a path has 4 KiB at most, and its newlines are escaped
	r := bufio.NewReaderSize(f, longest)
	for {
		line, err := r.ReadSlice('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return p.areas, nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if err := p.line(line); err != nil {
			return nil, err
		}
	}
}

// ParseSmaps parses the text of /proc/PID/smaps.
func ParseSmaps(text []byte) ([]MappedArea, error) {
	p := newSmaps()
	for line := range bytes.Lines(text) {
		if err := p.line(line); err != nil {
			return nil, err
		}
	}
	return p.areas, nil
}

// smaps is a text that is being parsed.
type smaps struct {
	areas        []MappedArea
	names, flags names
}

func newSmaps() *smaps { return &smaps{names: names{}, flags: names{}} }

func (p *smaps) line(line []byte) error {
	line = bytes.TrimSuffix(line, []byte{'\n'})
	bad := func() error {
		return fmt.Errorf("a line of /proc/PID/smaps is not as proc_pid_smaps(5) has it: %q", line)
	}
	// "Key:   value" begins with a capital letter, a mapping with a digit
	// or a small one.
	if len(line) == 0 || line[0] < 'A' || line[0] > 'Z' {
		v, ok := parseVMA(line, p.names)
		if !ok {
			return bad()
		}
		p.areas = append(p.areas, MappedArea{VMA: v})
		return nil
	}
	if len(p.areas) == 0 {
		return bad()
	}
	a := &p.areas[len(p.areas)-1]
	var to *uint64
	var shared uint64
	key, value, _ := bytes.Cut(line, []byte{':'})
	switch string(key) {
	case "VmFlags":
		a.Flags = p.flags.of(bytes.TrimSpace(value))
		return nil
	case "KernelPageSize":
		to = &a.KernelPageSize
	case "Rss":
		to = &a.Rss
	case "Swap":
		to = &a.Swap
	case "SwapPss":
		to = &a.SwapPss
	case "Shared_Clean", "Shared_Dirty":
		to = &shared
	case "ProtectionKey":
		s := scanner{rest: bytes.TrimLeft(value, " "), ok: true}
		if a.ProtectionKey = s.decimal(); !s.ok {
			return bad()
		}
		return nil
	default:
		return nil
	}
	s := scanner{rest: bytes.TrimLeft(value, " "), ok: true}
	kib := s.decimal()
	if !s.ok || kib >= 1<<54 || string(s.rest) != " kB" {
		return bad()
	}
	*to = kib << 10
	a.SharedBytes += shared
	return nil
}
