package procfs

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Limit is a line of /proc/PID/limits (proc_pid_limits(5), getrlimit(2)).
type Limit struct {
	Resource         int    // unix.RLIMIT_*
	Current, Maximum uint64 // all ones: unlimited
}

// Unlimited is RLIM_INFINITY.
const Unlimited = ^uint64(0)

// The names of lnames in fs/proc/base.c. x/sys lacks some of the numbers
// (include/uapi/asm-generic/resource.h).
var limitNames = map[string]int{
	"Max cpu time":          unix.RLIMIT_CPU,
	"Max file size":         unix.RLIMIT_FSIZE,
	"Max data size":         unix.RLIMIT_DATA,
	"Max stack size":        unix.RLIMIT_STACK,
	"Max core file size":    unix.RLIMIT_CORE,
	"Max resident set":      5,
	"Max processes":         6,
	"Max open files":        unix.RLIMIT_NOFILE,
	"Max locked memory":     8,
	"Max address space":     unix.RLIMIT_AS,
	"Max file locks":        10,
	"Max pending signals":   11,
	"Max msgqueue size":     12,
	"Max nice priority":     13,
	"Max realtime priority": 14,
	"Max realtime timeout":  15,
}

// ReadLimits reads /proc/PID/limits.
func ReadLimits(pid int) ([]Limit, error) {
	text, err := ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
	if err != nil {
		return nil, err
	}
	return ParseLimits(string(text))
}

// ParseLimits parses the text of /proc/PID/limits. Its columns have fixed
// widths: 25 for the name, 20 for each number and a blank between them. Limits
// of a kernel newer than ours are passed over.
func ParseLimits(text string) ([]Limit, error) {
	var limits []Limit
	first := true
	for line := range strings.Lines(text) {
		if first { // the heading
			first = false
			continue
		}
		bad := func() error {
			return fmt.Errorf("a line of /proc/PID/limits is not as proc_pid_limits(5) has it: %q", line)
		}
		if len(line) < 26 {
			return nil, bad()
		}
		resource, known := limitNames[strings.TrimSpace(line[:26])]
		if !known {
			continue
		}
		words := strings.Fields(line[26:])
		if len(words) < 2 {
			return nil, bad()
		}
		l := Limit{Resource: resource}
		var err1, err2 error
		l.Current, err1 = limit(words[0])
		l.Maximum, err2 = limit(words[1])
		if err1 != nil || err2 != nil {
			return nil, bad()
		}
		limits = append(limits, l)
	}
	return limits, nil
}

func limit(word string) (uint64, error) {
	if word == "unlimited" {
		return Unlimited, nil
	}
	return strconv.ParseUint(word, 10, 64)
}
