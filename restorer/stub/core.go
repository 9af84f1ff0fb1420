package stub

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/procfs"
)

// CorePattern is where this host has core dumps go: a file that we can catch. ok is
// false if they go to a program of the host's, or nowhere.
func CorePattern() (pattern string, ok bool) {
	b, err := procfs.ReadFile("/proc/sys/kernel/core_pattern")
	pattern = strings.TrimSuffix(string(b), "\n")
	return pattern, err == nil && isFile(pattern)
}

// isFile says whether a pattern (core(5)) names a file, in a directory that is known
// beforehand. With | it names a program, with @ a socket (Linux 6.16).
func isFile(pattern string) bool {
	return pattern != "" && !strings.ContainsAny(pattern[:1], "|@") && !strings.Contains(filepath.Dir(pattern), "%")
}

// prepareCore has the process dump its core when it dies: an empty one, into a file
// system in memory that goes with it. Only so does the kernel set CoreDumped.
func (p *Task) prepareCore() error {
	pattern, ok := CorePattern()
	if !ok {
		return fmt.Errorf("core dumps go to %q here, where none can be caught", pattern)
	}
	root, err := scratchRoot(filepath.Dir("/" + pattern))
	if err != nil {
		return fmt.Errorf("make a file system for its core: %w", err)
	}
	defer unix.Close(root)
	sent, err := p.Send([]int{root})
	if err != nil {
		return err
	}
	const none = "0" // of its mappings
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/coredump_filter", p.PID()), []byte(none), 0); err != nil {
		return err
	}
	addr, _ := p.Scratch()
	if err := p.Write(addr, []byte(".\x00")); err != nil {
		return err
	}
	for _, c := range []struct {
		what string
		nr   uint64
		args []uint64
	}{
		{"go to where its core goes", unix.SYS_FCHDIR, []uint64{uint64(sent[0])}},
		{"stay there", unix.SYS_CHROOT, []uint64{addr}},
		{"be dumpable", unix.SYS_PRCTL, []uint64{unix.PR_SET_DUMPABLE, 1, 0, 0, 0}},
	} {
		if _, err := p.Call(c.nr, c.args...); err != nil {
			return fmt.Errorf("%s: %w", c.what, err)
		}
	}
	return p.setLimit(unix.RLIMIT_CORE, unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY})
}

// scratchRoot makes a tmpfs that is mounted nowhere, with a directory in it.
func scratchRoot(directory string) (int, error) {
	context, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, err
	}
	defer unix.Close(context)
	if err := unix.FsconfigCreate(context); err != nil {
		return -1, err
	}
	root, err := unix.Fsmount(context, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	at := ""
	for part := range strings.SplitSeq(strings.Trim(directory, "/"), "/") {
		if at = filepath.Join(at, part); at == "" {
			continue
		}
		if err := unix.Mkdirat(root, at, 0o777); err != nil {
			unix.Close(root)
			return -1, err
		}
	}
	return root, nil
}
