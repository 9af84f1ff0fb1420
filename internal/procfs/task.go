package procfs

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// TaskStat is what we use of /proc/PID/task/TID/stat (proc_pid_stat(5)); pids
// are those of the reader's pid namespace.
type TaskStat struct {
	PID       int
	Comm      string
	State     byte // R S D T t Z X I …
	Parent    int
	Group     int
	Session   int
	Terminal  int64 // device number of the controlling terminal, kernel encoding; 0 for none
	Tpgid     int   // its foreground process group; -1 for none
	Flags     uint64
	Nice      int
	StartTime uint64 // clock ticks since boot
	CPU       int    // that it ran on last
	// Signal that the parent gets when it ends.
	ExitSignal int
	// As wait4(2) gives it; of a zombie, to readers who may trace it.
	ExitCode int
}

// ParseTaskStat parses the text of a stat file.
func ParseTaskStat(text string) (TaskStat, error) {
	var s TaskStat
	bad := func() (TaskStat, error) {
		return s, fmt.Errorf("a stat file is not as proc_pid_stat(5) has it: %q", text)
	}
	// The name may hold blanks and parentheses: the last one ends it.
	open, end := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return bad()
	}
	pid, err := strconv.Atoi(strings.TrimSpace(text[:open]))
	fields := strings.Fields(text[end+1:])
	if err != nil || len(fields) < 50 || len(fields[0]) != 1 {
		return bad()
	}
	s.PID, s.Comm, s.State = pid, text[open+1:end], fields[0][0]
	failed := false
	number := func(field int) int64 { // numbered as in the manual
		n, err := strconv.ParseInt(fields[field-3], 10, 64)
		failed = failed || err != nil
		return n
	}
	s.Parent, s.Group, s.Session = int(number(4)), int(number(5)), int(number(6))
	s.Terminal, s.Tpgid, s.Flags = number(7), int(number(8)), uint64(number(9))
	s.Nice, s.StartTime = int(number(19)), uint64(number(22))
	s.CPU = int(number(39))
	s.ExitSignal, s.ExitCode = int(number(38)), int(number(52))
	if failed {
		return bad()
	}
	return s, nil
}

// TaskStatus is what we use of /proc/PID/task/TID/status (proc_pid_status(5)).
type TaskStatus struct {
	Name      string
	Umask     uint32
	Tgid      int
	TracerPid int
	// Real, effective, saved set and file system ids.
	UIDs, GIDs [4]uint32
	Groups     []uint32
	// Numbers in each pid namespace, from the reader's to the innermost.
	NStgid, NSpid, NSpgid, NSsid []int
	// Masks of signals, bit n-1 for signal n.
	SigPnd, ShdPnd, SigBlk, SigIgn, SigCgt uint64
	CapInh, CapPrm, CapEff, CapBnd, CapAmb uint64
	NoNewPrivs                             bool
	Seccomp                                int // 0, 1 strict, 2 filter
	SeccompFilters                         int // -1 where the kernel does not tell (before Linux 5.9)
	Threads                                int
	// Speculative store bypass and indirect branches (prctl(2),
	// PR_SET_SPECULATION_CTRL): PR_SPEC_* as the task has set it, 0 where it has
	// not, or can't.
	StoreBypass, IndirectBranch uint32
	ShadowStack                 bool   // x86_Thread_features has shstk
	Locked                      uint64 // VmLck: bytes of locked mappings
	THPDisabled                 bool   // THP_enabled is 0 (Linux 5.0): PR_SET_THP_DISABLE
}

// ParseTaskStatus parses the text of a status file.
func ParseTaskStatus(text string) (TaskStatus, error) {
	s := TaskStatus{SeccompFilters: -1}
	for line := range strings.Lines(text) {
		key, value, found := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		if !found {
			continue
		}
		if err := s.set(key, strings.TrimPrefix(value, "\t")); err != nil {
			return s, fmt.Errorf("a line of a status file is not as proc_pid_status(5) has it: %q", line)
		}
	}
	if s.Tgid == 0 {
		return s, fmt.Errorf("a status file has no Tgid")
	}
	return s, nil
}

func (s *TaskStatus) set(key, value string) (err error) {
	switch key {
	case "Name":
		s.Name = value
	case "VmLck":
		s.Locked, err = strconv.ParseUint(strings.TrimSpace(strings.TrimSuffix(value, " kB")), 10, 54)
		s.Locked <<= 10
	case "THP_enabled":
		s.THPDisabled = value == "0"
	case "Umask":
		var n uint64
		n, err = strconv.ParseUint(value, 8, 32)
		s.Umask = uint32(n)
	case "Tgid":
		s.Tgid, err = strconv.Atoi(value)
	case "TracerPid":
		s.TracerPid, err = strconv.Atoi(value)
	case "Uid":
		err = four(value, &s.UIDs)
	case "Gid":
		err = four(value, &s.GIDs)
	case "Groups":
		for word := range strings.FieldsSeq(value) {
			n, err := strconv.ParseUint(word, 10, 32)
			if err != nil {
				return err
			}
			s.Groups = append(s.Groups, uint32(n))
		}
	case "NStgid":
		s.NStgid, err = numbers(value)
	case "NSpid":
		s.NSpid, err = numbers(value)
	case "NSpgid":
		s.NSpgid, err = numbers(value)
	case "NSsid":
		s.NSsid, err = numbers(value)
	case "Threads":
		s.Threads, err = strconv.Atoi(value)
	case "Speculation_Store_Bypass", "SpeculationIndirectBranch":
		// Words of proc_pid_status (fs/proc/array.c, task_seccomp).
		control := map[string]uint32{
			"thread vulnerable": unix.PR_SPEC_ENABLE, "conditional enabled": unix.PR_SPEC_ENABLE,
			"thread mitigated": unix.PR_SPEC_DISABLE, "conditional disabled": unix.PR_SPEC_DISABLE,
			"thread force mitigated": unix.PR_SPEC_FORCE_DISABLE, "conditional force disabled": unix.PR_SPEC_FORCE_DISABLE,
		}[value]
		if key == "SpeculationIndirectBranch" {
			s.IndirectBranch = control
		} else {
			s.StoreBypass = control
		}
	case "NoNewPrivs":
		s.NoNewPrivs = value == "1"
	case "Seccomp":
		s.Seccomp, err = strconv.Atoi(value)
	case "Seccomp_filters":
		s.SeccompFilters, err = strconv.Atoi(value)
	case "x86_Thread_features":
		s.ShadowStack = strings.Contains(value, "shstk")
	default:
		if mask := s.mask(key); mask != nil {
			*mask, err = strconv.ParseUint(value, 16, 64)
		}
	}
	return err
}

func (s *TaskStatus) mask(key string) *uint64 {
	switch key {
	case "SigPnd":
		return &s.SigPnd
	case "ShdPnd":
		return &s.ShdPnd
	case "SigBlk":
		return &s.SigBlk
	case "SigIgn":
		return &s.SigIgn
	case "SigCgt":
		return &s.SigCgt
	case "CapInh":
		return &s.CapInh
	case "CapPrm":
		return &s.CapPrm
	case "CapEff":
		return &s.CapEff
	case "CapBnd":
		return &s.CapBnd
	case "CapAmb":
		return &s.CapAmb
	}
	return nil
}

func four(value string, to *[4]uint32) error {
	words := strings.Fields(value)
	if len(words) != len(to) {
		return strconv.ErrSyntax
	}
	for i, w := range words {
		n, err := strconv.ParseUint(w, 10, 32)
		if err != nil {
			return err
		}
		to[i] = uint32(n)
	}
	return nil
}

func numbers(value string) ([]int, error) {
	var all []int
	for w := range strings.FieldsSeq(value) {
		n, err := strconv.Atoi(w)
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, nil
}
