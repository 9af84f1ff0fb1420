package cli

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Seconds is the value of an option that takes a number of seconds, with a
// fraction or without: more than 0, at most a day.
type Seconds struct{ time.Duration }

func (s *Seconds) String() string { return strconv.FormatFloat(s.Seconds(), 'g', -1, 64) }
func (s *Seconds) Type() string   { return "SECONDS" }

// Set parses the value.
func (s *Seconds) Set(text string) error {
	const day = 24 * 60 * 60
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(n) || n < 0.001 || n > day {
		return fmt.Errorf("it takes seconds, from 0.001 to %d", day)
	}
	s.Duration = time.Duration(n * float64(time.Second))
	return nil
}

// Number is the value of an option that takes a descriptor or a pid. It is
// Min-1 until the option is given.
type Number struct {
	N, Min int
	Word   string // "FD"
}

func (n *Number) String() string { return strconv.Itoa(n.N) }
func (n *Number) Type() string   { return n.Word }

// Set parses the value.
func (n *Number) Set(text string) error {
	v, err := strconv.ParseInt(text, 10, 32)
	if err != nil || int(v) < n.Min {
		return fmt.Errorf("it takes a number from %d", n.Min)
	}
	n.N = int(v)
	return nil
}

// Size is the value of an option that takes a number of bytes, as 4096, 64K,
// 100M or 2G.
type Size uint64

func (s *Size) String() string { return strconv.FormatUint(uint64(*s), 10) }

// Type is the word for it in help.
func (s *Size) Type() string { return "SIZE" }

// Set parses the value.
func (s *Size) Set(text string) error {
	shift := 0
	digits := text
	if n := len(text); n > 0 {
		if i := strings.IndexByte("KMGT", text[n-1]&^0x20); i >= 0 {
			shift, digits = 10*(i+1), text[:n-1]
		}
	}
	v, err := strconv.ParseUint(digits, 10, 63-shift)
	if err != nil {
		return fmt.Errorf("it takes bytes, as 4096, 64K, 100M or 2G")
	}
	*s = Size(v << shift)
	return nil
}

// Inherited returns an error unless descriptor fd was open when the command
// began: one that this program opened since may have got the same number.
// Ours close on exec, and one that does cannot have come to us by exec.
func Inherited(fd int) error {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	if err == nil && flags&unix.FD_CLOEXEC != 0 {
		err = unix.EBADF
	}
	if err != nil {
		return fmt.Errorf("descriptor %d is not open: redirect it in the shell, as in %d>FILE or %d<FILE: %w", fd, fd, fd, err)
	}
	return nil
}

// capabilities by their number (capabilities(7)).
var capabilities = map[string]uint{
	"CAP_DAC_OVERRIDE":       unix.CAP_DAC_OVERRIDE,
	"CAP_KILL":               unix.CAP_KILL,
	"CAP_SETGID":             unix.CAP_SETGID,
	"CAP_SETUID":             unix.CAP_SETUID,
	"CAP_SETPCAP":            unix.CAP_SETPCAP,
	"CAP_SYS_CHROOT":         unix.CAP_SYS_CHROOT,
	"CAP_SYS_PTRACE":         unix.CAP_SYS_PTRACE,
	"CAP_SYS_ADMIN":          unix.CAP_SYS_ADMIN,
	"CAP_CHECKPOINT_RESTORE": unix.CAP_CHECKPOINT_RESTORE,
}

// NeedCapabilities returns an error that names those capabilities which this
// process lacks. CAP_SYS_ADMIN does for CAP_CHECKPOINT_RESTORE.
func NeedCapabilities(names ...string) error {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	var effective uint64
	for line := range strings.Lines(string(text)) {
		if rest, found := strings.CutPrefix(line, "CapEff:"); found {
			effective, err = strconv.ParseUint(strings.TrimSpace(rest), 16, 64)
			if err != nil {
				return fmt.Errorf("/proc/self/status: %w", err)
			}
		}
	}
	has := func(name string) bool { return effective&(1<<capabilities[name]) != 0 }
	var missing []string
	for _, name := range names {
		if !has(name) && (name != "CAP_CHECKPOINT_RESTORE" || !has("CAP_SYS_ADMIN")) {
			missing = append(missing, name)
		}
	}
	switch {
	case len(missing) == 0:
		return nil
	case os.Geteuid() != 0:
		return fmt.Errorf("only root may do this: become root (missing: %s)", strings.Join(missing, ", "))
	}
	return fmt.Errorf("this root lacks the capabilities %s: run it where root has them", strings.Join(missing, ", "))
}
