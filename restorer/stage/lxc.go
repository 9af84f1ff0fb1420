package stage

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/container"
	"lxc-checkpoint/internal/elsewhere"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/internal/trip"
	"lxc-checkpoint/restorer/stub"
)

// lxc has stock lxc-start make the container from its own config, with our stub
// as its init: so the monitor, console, network and cgroups are LXC's own, and
// its tools work on the restarted container as on any other.
//
// The stub gets into the container as a bind mount, under a name that is new
// each time; mount and file are gone before anything is built.
type lxc struct {
	Need
	name, path string
	overrides  container.Overrides
	dir        string   // of the stub's file on the host
	target     string   // of the mount in the container
	started    bool     // lxc-start has been
	before     []string // cgroups of LXC's that were there before
	pid        int      // the first process
}

// NewLXC restarts the container of that name below lxcpath (empty: LXC's
// default).
func NewLXC(name, lxcpath string, o container.Overrides, n Need) Stage {
	if lxcpath == "" {
		lxcpath = container.DefaultLXCPath()
	}
	return &lxc{Need: n, name: name, path: lxcpath, overrides: o}
}

func (l *lxc) Begin(ctx context.Context) (*stub.Task, error) {
	state, _, err := container.Query(ctx, l.name, l.path)
	if err != nil && !(l.overrides.File != "" && container.IsNotFound(err)) {
		return nil, err
	}
	if state != container.Stopped {
		return nil, fmt.Errorf("container %s is %s: stop it first (lxc-stop -n %s)", l.name, state, l.name)
	}
	if config, err := container.ReadConfig(l.name, l.path, l.overrides); err == nil {
		if refused := checkIDMaps(l.Skeleton, config); refused != nil {
			return nil, refused
		}
	}
	l.before = l.cgroups()
	if err := l.writeProgram(); err != nil {
		return nil, fmt.Errorf("write the restart's first program: %w", err)
	}
	defer os.RemoveAll(l.dir)
	if err := l.start(ctx); err != nil {
		return nil, err
	}
	if err := trip.At("lxc-start"); err != nil {
		return nil, err
	}
	if err := l.waitForProgram(ctx); err != nil {
		return nil, err
	}
	if err := trip.At("the first process runs"); err != nil {
		return nil, err
	}
	t, err := l.seize(ctx, l.pid)
	if err != nil {
		return nil, err
	}
	if err := l.removeProgram(t); err != nil {
		return nil, fmt.Errorf("remove the restart's first program from container %s: %w", l.name, err)
	}
	if err := trip.At("take over the first process"); err != nil {
		return nil, err
	}
	return t, nil
}

func (l *lxc) writeProgram() (err error) {
	if l.dir, err = os.MkdirTemp("", "lxc-restart-"); err != nil {
		return err
	}
	// An unprivileged container's init is somebody else.
	if err := os.Chmod(l.dir, 0o755); err != nil {
		return err
	}
	l.target = "/.lxc-restart-" + strings.ToLower(rand.Text()[:8])
	if err := os.WriteFile(l.program(), stub.ELF(l.life()), 0o755); err != nil {
		return err
	}
	return os.Chmod(l.program(), 0o755)
}

func (l *lxc) program() string { return filepath.Join(l.dir, "init") }

// start runs lxc-start, which returns when the container runs.
func (l *lxc) start(ctx context.Context) error {
	entry := fmt.Sprintf("lxc.mount.entry=%s %s none bind,ro,create=file 0 0", escape(l.program()), escape(l.target[1:]))
	args := slices.Concat([]string{"-n", l.name, "-P", l.path, "-d"}, l.overrides.Arguments(), []string{"-s", entry})
	if l.Skeleton.Container.WasExecuted {
		// lxc-execute's init keeps the capabilities that it drops for its
		// program; the image says what each process has.
		args = append(args, "-s", "lxc.cap.drop=", "-s", "lxc.cap.keep=")
	}
	o, err := l.offsets()
	if err != nil {
		return err
	}
	if o != nil {
		// LXC makes the time namespace, and lxc-attach joins it. LXC 5.0.2 takes
		// whole seconds only: the next ones, since no clock may go back.
		args = append(args, "-s", fmt.Sprintf("lxc.time.offset.monotonic=%ds", up(o.Monotonic)), "-s", fmt.Sprintf("lxc.time.offset.boot=%ds", up(o.Boottime)))
	}
	if hook := l.networkHook(); hook != "" {
		args = append(args, "-s", "lxc.hook.pre-mount="+hook)
	}
	if hook := l.rebootHook(); hook != "" {
		args = append(args, "-s", "lxc.hook.post-stop="+hook)
	}
	cmd := exec.CommandContext(ctx, "lxc-start", append(args, "--", l.target)...)
	// Its own session: a signal to the restart from a terminal is ours to handle.
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	// Even when we are to end: the monitor, its grandchild, would go on without
	// it, and the container come to life when we are gone.
	cmd.Cancel, cmd.WaitDelay = func() error { return nil }, l.Timeout
	l.started = true
	var out string
	err = l.anonymously(func() (err error) {
		out, err = l.output(cmd)
		return err
	})
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("lxc-start is not installed; to restart without LXC use --native: %w", err)
	}
	if why := l.reason(ctx, args); why != "" {
		out = why
	}
	if out == "" {
		out = "its log says more: lxc-start -n " + l.name + " -F -l INFO"
	}
	return fmt.Errorf("lxc-start could not make container %s (%w): %s", l.name, err, out)
}

// reason starts the container once more, with a log, to learn what the matter is:
// what lxc-start prints is only that it failed.
func (l *lxc) reason(ctx context.Context, args []string) string {
	log := filepath.Join(l.dir, "log")
	cmd := exec.CommandContext(ctx, "lxc-start", append(args, "-o", log, "-l", "ERROR", "--", l.target)...)
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	cmd.Cancel, cmd.WaitDelay = func() error { return nil }, l.Timeout
	if _, err := l.output(cmd); err == nil {
		return "" // what it was, it is no more; Undo ends the container
	}
	text, err := os.ReadFile(log)
	if err != nil {
		return ""
	}
	return logged(string(text))
}

// logged is what is said in the first lines of a log of LXC's, where the cause is.
// A line is "lxc-start NAME TIME ERROR PLACE - FILE:FUNCTION:LINE - WORDS".
func logged(text string) string {
	var said []string
	for line := range strings.Lines(text) {
		_, words, ok := strings.Cut(line, " ERROR ")
		// Who waits for the start complains, too, that nobody answers (commands,
		// af_unix).
		if words = strings.TrimSpace(words); ok && len(said) < 2 && !strings.HasPrefix(words, "commands") && !strings.HasPrefix(words, "af_unix") {
			f := strings.SplitN(words, " - ", 3)
			said = append(said, strings.TrimSpace(f[len(f)-1]))
		}
	}
	return strings.Join(said, "; ")
}

// HookArgument has lxc-restart be the hook that LXC runs when the container's
// network interfaces are there and not yet up (lxc.hook.pre-mount; LXC 5.0): it
// deafens them, so that no peer is told that there are no connections.
const HookArgument = container.NetworkHook

// networkHook is the command of that hook; "" if the container has no network of
// its own.
func (l *lxc) networkHook() string {
	if l.Skeleton.Container.CloneFlags&unix.CLONE_NEWNET == 0 {
		return ""
	}
	return hookCommand(HookArgument)
}

// hookCommand is one for LXC's shell; "" if that would take it apart.
func hookCommand(args ...string) string {
	exe, err := os.Executable()
	command := slices.Insert(args, 0, exe)
	for _, word := range command {
		if err != nil || word == "" || strings.ContainsAny(word, " \t\n\"'`$\\&;|<>()*?[]#~") {
			return ""
		}
	}
	return strings.Join(command, " ")
}

// up is a time in seconds, rounded up.
func up(ns int64) int64 {
	seconds := ns / 1e9
	if ns%1e9 > 0 {
		seconds++
	}
	return seconds
}

// anonymously runs f on a thread that nobody has logged in on, for the audit log, if
// the container has users of its own: its tasks inherit that, and have no right on
// the host to be somebody else than who restarts them (CAP_AUDIT_CONTROL).
func (l *lxc) anonymously(f func() error) error {
	if firstUsers(l.Skeleton) == nil {
		return f()
	}
	return elsewhere.Run(func() error {
		const unset = "4294967295"
		if have, err := procfs.ReadFile("/proc/thread-self/loginuid"); err == nil && string(have) != unset {
			if err := os.WriteFile("/proc/thread-self/loginuid", []byte(unset), 0); err != nil {
				l.Log.Warn("the container's tasks will be those of who restarts it, for the audit log", "login uid", string(have), "why", err)
			}
		}
		return f()
	})
}

// output runs a command with a file for what it prints: a pipe would be waited
// for as long as the monitor, which inherits it, lives.
func (l *lxc) output(cmd *exec.Cmd) (string, error) {
	f, err := os.CreateTemp(l.dir, "output-")
	if err != nil {
		return "", err
	}
	defer f.Close()
	cmd.Stdout, cmd.Stderr = f, f
	runErr := cmd.Run()
	b, err := os.ReadFile(f.Name())
	if err != nil {
		return "", err
	}
	if len(b) > 2000 {
		b = b[:2000]
	}
	return oneLine(b), runErr
}

// escape writes a path as fstab(5) wants it.
func escape(path string) string {
	return strings.NewReplacer(`\`, `\134`, " ", `\040`, "\t", `\011`, "\n", `\012`).Replace(path)
}

// waitForProgram waits until the first process has executed our program: LXC
// calls the container running just before.
func (l *lxc) waitForProgram(ctx context.Context) error {
	var want unix.Stat_t
	if err := unix.Stat(l.program(), &want); err != nil {
		return err
	}
	deadline := time.Now().Add(l.Timeout)
	for {
		state, pid, err := container.Query(ctx, l.name, l.path)
		if err != nil {
			return err
		}
		if pid > 0 {
			l.pid = pid
			var have unix.Stat_t
			if err := unix.Stat(fmt.Sprintf("/proc/%d/exe", pid), &have); err == nil && have.Dev == want.Dev && have.Ino == want.Ino {
				return nil
			}
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("LXC has started container %s (state %s), but its first process does not run the restart's program; does a hook or security profile of its config forbid it? (lxc-start -n %s -F -l INFO)", l.name, state, l.name)
		}
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// removeProgram takes the mount and the file below it away, from inside.
func (l *lxc) removeProgram(t *stub.Task) error {
	addr, _ := t.Scratch()
	if err := t.Write(addr, append([]byte(l.target), 0)); err != nil {
		return err
	}
	if _, err := t.Call(unix.SYS_UMOUNT2, addr, unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount %s: %w", l.target, err)
	}
	if _, err := t.Call(unix.SYS_UNLINKAT, atFdcwd, addr, 0); err != nil && !errors.Is(err, unix.EROFS) {
		return fmt.Errorf("unlink %s: %w", l.target, err)
	}
	return nil
}

// atFdcwd is AT_FDCWD as a system call's argument.
const atFdcwd = ^uint64(99)

func (l *lxc) container(ctx context.Context) (*container.Container, error) {
	return container.ByName(ctx, l.name, l.path)
}

func (l *lxc) Freeze(ctx context.Context, detach func() error) error {
	c, err := l.container(ctx)
	if err != nil {
		return err
	}
	if err := c.Announce(ctx, container.Freezing); err != nil {
		return err
	}
	short, cancel := context.WithTimeout(ctx, l.Timeout)
	defer cancel()
	if err := c.Freezer.Freeze(short); err != nil {
		return err
	}
	if err := detach(); err != nil {
		return err
	}
	return c.Announce(ctx, container.Frozen)
}

func (l *lxc) Running(context.Context) error { return nil }

// Undo waits until LXC has noticed the end of its container and cleaned up.
func (l *lxc) Undo() error {
	if l.dir != "" {
		os.RemoveAll(l.dir)
	}
	deadline := time.Now().Add(l.Timeout)
	for {
		state, pid, err := container.Query(context.Background(), l.name, l.path)
		if (err == nil || container.IsNotFound(err)) && state == container.Stopped {
			l.removeFile()
			// Its monitor, which has said so, may not have ended yet.
			for end := time.Now().Add(time.Second); l.removeCgroups() && time.Now().Before(end); {
				time.Sleep(5 * time.Millisecond)
			}
			return nil
		}
		// One that lxc-start made and that was not taken over yet is killed
		// here; never one that ran before us.
		switch {
		case pid > 0 && (pid == l.pid || l.pid == 0 && l.started):
			unix.Kill(pid, unix.SIGKILL)
			letEnd(pid)
		case !l.started:
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("container %s is still %s: lxc-stop -k -n %s", l.name, state, l.name)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// removeFile removes the mount point that LXC made in the root file system, if
// the container ended before that was done from inside.
func (l *lxc) removeFile() {
	rootfs := ""
	if config, err := container.ReadConfig(l.name, l.path, l.overrides); err == nil {
		rootfs = config.RootDirectory()
	}
	if l.target == "" || rootfs == "" {
		return
	}
	if s, err := os.Lstat(rootfs + l.target); err == nil && s.Mode().IsRegular() && s.Size() == 0 {
		os.Remove(rootfs + l.target)
	}
}
