package harness

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Host is another host, made of namespaces on this machine: it has processes,
// mounts, network, IPC, name and cgroups of its own, a root file system of its
// own that begins as a copy of this one (an overlay), and containers of its own
// in /var/lib/lxc.
type Host struct {
	Name    string
	LXC     string   // its /var/lib/lxc, as it is called here
	Cgroups []string // its cgroups, one in each hierarchy, as they are called here

	cmd *exec.Cmd
	pid int // of its init, here
}

// hostVariable is set in the environment of a host's init: its name, its
// directory here, and directories that it has at the same place.
const hostVariable = "LXC_CHECKPOINT_TEST_HOST"

// hostGroup is where a host's own processes are in its cgroups: LXC puts its
// containers beside it, as it does on a host with systemd.
const hostGroup = "init.scope"

// HostInit has to be called first of all by each program that makes hosts, which
// start it once more as their init.
func HostInit() {
	if words := os.Getenv(hostVariable); words != "" {
		f := strings.Split(words, "\n")
		fmt.Fprintln(os.Stderr, runHost(f[0], f[1], f[2:])) // it does not return but by an error
		os.Exit(1)
	}
}

// StartHost makes a host; dir is a directory on a disk for its containers.
// shared are directories that it has at the same place as we have.
func StartHost(name, dir string, shared ...string) (h *Host, err error) {
	KeepInherited()
	h = &Host{Name: name, LXC: filepath.Join(dir, "lxc")}
	defer func() {
		if err != nil {
			_ = h.Stop()
		}
	}()
	for _, mount := range cgroupHierarchies() {
		g := filepath.Join(mount, ours, fmt.Sprintf("host-%s.%d", name, os.Getpid()))
		if err := makeHostGroup(g); err != nil {
			return nil, err
		}
		h.Cgroups = append(h.Cgroups, g)
	}
	if err := errors.Join(os.MkdirAll(h.LXC, 0o755), os.MkdirAll(filepath.Join(dir, "top"), 0o755)); err != nil {
		return nil, err
	}
	// The cgroup that a process is in when it makes a cgroup namespace becomes
	// the root of that.
	const enter = `for g; do [ "$g" != -- ] || break; echo 0 >"$g"/cgroup.procs; shift; done; shift; exec "$@"`
	args := slices.Concat([]string{"-c", enter, "sh"}, h.Cgroups, []string{"--",
		"unshare", "--fork", "--kill-child", "--pid", "--mount", "--uts", "--ipc", "--net", "--cgroup", "--propagation", "private", "/proc/self/exe"})
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args[len(args)-1] = exe
	h.cmd = exec.Command("/bin/sh", args...)
	h.cmd.Env = append(os.Environ(), hostVariable+"="+strings.Join(append([]string{name, dir}, shared...), "\n"))
	h.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	var said bytes.Buffer
	h.cmd.Stderr = &said
	ready, err := h.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := h.cmd.Start(); err != nil {
		return nil, err
	}
	if n, _ := ready.Read(make([]byte, 8)); n == 0 {
		_ = h.cmd.Wait()
		h.cmd = nil
		return nil, fmt.Errorf("host %s could not be made: %s", name, strings.TrimSpace(said.String()))
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", h.cmd.Process.Pid))
	if err != nil {
		return nil, err
	}
	if h.pid, err = strconv.Atoi(strings.TrimSpace(string(children))); err != nil {
		return nil, err
	}
	for _, g := range h.Cgroups { // unshare, which waits
		if err := os.WriteFile(filepath.Join(g, hostGroup, "cgroup.procs"), []byte(strconv.Itoa(h.cmd.Process.Pid)), 0); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// makeHostGroup makes a host's cgroup and that of its own processes; a cpuset of
// v1 gets what the one above has.
func makeHostGroup(g string) error {
	for _, dir := range []string{filepath.Dir(g), g, filepath.Join(g, hostGroup)} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			have, err := os.ReadFile(filepath.Join(dir, file))
			if err != nil || len(bytes.TrimSpace(have)) > 0 {
				continue
			}
			if above, err := os.ReadFile(filepath.Join(filepath.Dir(dir), file)); err == nil {
				_ = os.WriteFile(filepath.Join(dir, file), above, 0)
			}
		}
	}
	return nil
}

// cgroupHierarchies are the directories where cgroups are mounted.
func cgroupHierarchies() []string {
	var dirs []string
	text, _ := os.ReadFile("/proc/self/mounts")
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 2 && strings.HasPrefix(f[2], "cgroup") && strings.HasPrefix(f[1], "/sys/fs/cgroup") {
			dirs = append(dirs, f[1])
		}
	}
	return dirs
}

// Stop ends the host with all that runs on it.
func (h *Host) Stop() error {
	if h.cmd != nil {
		_ = h.cmd.Process.Kill() // and with it its child, the host's init
		_ = h.cmd.Wait()
	}
	var errs []error
	for _, g := range h.Cgroups {
		errs = append(errs, (&Cgroup{Dir: g}).Remove())
	}
	return errors.Join(errs...)
}

// Command is a command that runs on the host.
func (h *Host) Command(name string, args ...string) *exec.Cmd {
	const enter = `for g; do [ "$g" != -- ] || break; echo 0 >"$g"/` + hostGroup + `/cgroup.procs; shift; done; shift; exec "$@"`
	return exec.Command("/bin/sh", slices.Concat([]string{"-c", enter, "sh"}, h.Cgroups,
		[]string{"--", "nsenter", "-t", strconv.Itoa(h.pid), "-m", "-u", "-i", "-n", "-p", "-C", "--", "env", "TMPDIR=/tmp", name}, args)...)
}

// Run runs a command on the host to its end.
func (h *Host) Run(prepare func(*exec.Cmd), name string, args ...string) (*Result, error) {
	r, err := Exec(func(c *exec.Cmd) {
		on := h.Command(name, args...)
		c.Path, c.Args = on.Path, on.Args
		if prepare != nil {
			prepare(c)
		}
	}, name, args...)
	return r, err
}

// Must runs a command on the host that has to succeed, and returns what it wrote.
func (h *Host) Must(name string, args ...string) (string, error) {
	r, err := h.Run(nil, name, args...)
	if err == nil && r.Code != 0 {
		err = errors.New(r.String())
	}
	if err != nil {
		return "", fmt.Errorf("host %s: %w", h.Name, err)
	}
	return strings.TrimSpace(r.Stdout), nil
}

// Path is how a file of the host is called here.
func (h *Host) Path(path string) string { return fmt.Sprintf("/proc/%d/root%s", h.pid, path) }

// HostChanges is where a host has what differs in its root file system from ours.
const HostChanges = "/mnt"

// Init is the number of its first process.
func (h *Host) Init() int { return h.pid }

// runHost is a host's init: it makes the host's mounts, says that it is ready,
// and takes the statuses of orphans.
func runHost(name, dir string, shared []string) error {
	if err := unix.Sethostname([]byte(name)); err != nil {
		return err
	}
	if err := mountHost(dir, shared); err != nil {
		return fmt.Errorf("its mounts: %w", err)
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		return fmt.Errorf("its loopback: %w: %s", err, out)
	}
	// Not before the mounts: they show the cgroup that is its root.
	for _, mount := range cgroupHierarchies() {
		if err := os.WriteFile(filepath.Join(mount, hostGroup, "cgroup.procs"), []byte("0"), 0); err != nil {
			return err
		}
	}
	if _, err := os.Stdout.WriteString("ready\n"); err != nil {
		return err
	}
	for {
		var s unix.WaitStatus
		if _, err := unix.Wait4(-1, &s, unix.WALL, nil); errors.Is(err, unix.ECHILD) {
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// mountHost makes the host's root and what is mounted there, and makes it the
// root.
func mountHost(dir string, shared []string) error {
	hierarchies := cgroupHierarchies()
	top, root := filepath.Join(dir, "top"), filepath.Join(dir, "top", "root")
	type mount struct{ source, target, kind, options string }
	mounts := []mount{
		// The upper layer of an overlay may not lie below the lower one.
		{"top", top, "tmpfs", ""},
		{"root", root, "overlay", "lowerdir=/,upperdir=" + top + "/upper,workdir=" + top + "/work"},
		{"proc", root + "/proc", "proc", ""},
		{"sysfs", root + "/sys", "sysfs", ""},
		{"/dev", root + "/dev", "", ""},
		{"devpts", root + "/dev/pts", "devpts", "newinstance,ptmxmode=0666,mode=0620,gid=5"},
		{"shm", root + "/dev/shm", "tmpfs", ""},
		{"mqueue", root + "/dev/mqueue", "mqueue", ""},
		{"run", root + "/run", "tmpfs", "mode=0755"},
		{"tmp", root + "/tmp", "tmpfs", "mode=1777"},
		{filepath.Join(dir, "lxc"), root + "/var/lib/lxc", "", ""},
		{top + "/upper", root + HostChanges, "", ""},
		{"cgroup", root + "/sys/fs/cgroup", "tmpfs", "mode=0755"},
	}
	for _, at := range hierarchies {
		if at == "/sys/fs/cgroup" { // v2 alone
			mounts[len(mounts)-1] = mount{"cgroup2", root + at, "cgroup2", ""}
			break
		}
		if name := filepath.Base(at); name == "unified" {
			mounts = append(mounts, mount{"cgroup2", root + at, "cgroup2", ""})
		} else if name == "systemd" {
			mounts = append(mounts, mount{"cgroup", root + at, "cgroup", "none,name=systemd"})
		} else {
			mounts = append(mounts, mount{"cgroup", root + at, "cgroup", name})
		}
	}
	for _, dir := range shared {
		mounts = append(mounts, mount{dir, root + dir, "", ""})
	}
	for i, m := range mounts {
		if err := os.MkdirAll(m.target, 0o755); err != nil && i > 0 && m.kind != "mqueue" {
			return err
		}
		flags := uintptr(0)
		if m.kind == "" {
			flags = unix.MS_BIND
		}
		if err := unix.Mount(m.source, m.target, m.kind, flags, m.options); err != nil && m.kind != "mqueue" {
			return fmt.Errorf("mount %s: %w", m.target, err)
		}
		if i == 0 {
			for _, d := range []string{"upper", "work", "root"} {
				if err := os.Mkdir(filepath.Join(top, d), 0o755); err != nil {
					return err
				}
			}
		}
	}
	if err := os.Chdir(root); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return err
	}
	return os.Chdir("/")
}
