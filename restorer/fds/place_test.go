package fds

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/restorer/place"
	"lxc-checkpoint/tracee"
)

// helper is a place of its own for these tests: this test binary again, as the
// first process of new namespaces, with a root file system on a tmpfs. It makes
// the calls it is told to over a socket.
type helper struct {
	t       testing.TB
	pid     int
	control int   // our end
	theirs  int   // number of its end
	runtime []int // numbers of its Go runtime's descriptors
	scratch uint64
}

var _ place.Process = (*helper)(nil)

const (
	scratchSize = 64 << 10
	ownerSignal = 40 // signals of this number are counted in the byte signalsAt of scratch memory
	signalsAt   = 8192
	highFirst   = 10_000 // numbers that Send gives
)

// Requests: a first byte, then what it says.
const (
	opRun     = 'r' // calls
	opReceive = 'd' // descriptors beside it
	opMove    = 'm' // the control socket to another number
	rootEnv   = "LXC_CHECKPOINT_TEST_ROOT"
)

func init() {
	if root := os.Getenv(rootEnv); root != "" {
		runtime.LockOSThread()
		serve(root)
		os.Exit(0)
	}
}

// newHelper starts a helper, as a process of new namespaces.
func newHelper(t testing.TB) *helper {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: it makes namespaces")
	}
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	theirs := os.NewFile(uintptr(ends[1]), "control")
	exe, err := os.Executable()
	must(t, err)
	c := exec.Command(exe)
	c.Env = []string{rootEnv + "=" + t.TempDir(), "GOMAXPROCS=2"} // so the runtime does not watch a cgroup file
	c.ExtraFiles = []*os.File{theirs}
	c.Stderr = os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true,
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS}
	must(t, c.Start())
	theirs.Close()
	h := &helper{t: t, pid: c.Process.Pid, control: ends[0], theirs: 3}
	t.Cleanup(func() {
		unix.Close(h.control)
		c.Process.Kill()
		c.Wait()
	})
	b := make([]byte, 16)
	n, err := unix.Read(h.control, b)
	if err != nil || n != 8 {
		t.Fatalf("helper says %d bytes: %v", n, err)
	}
	h.scratch = binary.NativeEndian.Uint64(b)
	for _, fd := range h.open() {
		if l := h.link(fd); strings.Contains(l, "[event") || strings.Contains(l, "cgroup") {
			h.runtime = append(h.runtime, fd)
		}
	}
	return h
}

// serve is the helper.
func serve(root string) {
	control := 3
	check := func(what string, err error) {
		if err != nil {
			fmt.Fprintf(os.Stderr, "helper: %s: %v\n", what, err)
			os.Exit(1)
		}
	}
	time.Sleep(time.Millisecond) // so the runtime opens now what it needs for timers
	check("private", unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	check("tmpfs", unix.Mount("tmpfs", root, "tmpfs", 0, ""))
	check("chdir", unix.Chdir(root))
	check("pivot_root", unix.PivotRoot(".", "."))
	check("umount", unix.Unmount(".", unix.MNT_DETACH))
	check("chdir", unix.Chdir("/"))
	unix.Umask(0o077)
	for _, d := range []string{"dev", "dev/pts", "run", "tmp", "data", "proc", "jail", "jail/run"} {
		check(d, unix.Mkdir(d, 0o755))
	}
	check("devpts", unix.Mount("devpts", "dev/pts", "devpts", 0, "newinstance,ptmxmode=0666"))
	check("proc", unix.Mount("proc", "proc", "proc", 0, ""))
	for minor, name := range map[uint32]string{3: "null", 5: "zero", 7: "full", 8: "random", 9: "urandom"} {
		check(name, unix.Mknod("dev/"+name, unix.S_IFCHR|0o666, int(unix.Mkdev(1, minor))))
	}
	check("tty", unix.Mknod("dev/tty", unix.S_IFCHR|0o666, int(unix.Mkdev(5, 0))))
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	check("socket", err)
	lo, err := unix.NewIfreq("lo")
	check("lo", err)
	lo.SetUint16(unix.IFF_UP)
	check("lo up", unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, lo))
	unix.Close(s)
	scratch, err := unix.Mmap(-1, 0, scratchSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	check("mmap", err)
	all := ^uint64(0)
	_, _, e := unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, 2, uintptr(unsafe.Pointer(&all)), 0, 8, 0, 0)
	if e != 0 {
		check("sigprocmask", e)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.Signal(ownerSignal))
	go func() {
		for range signals {
			scratch[signalsAt]++
		}
	}()
	answer := binary.NativeEndian.AppendUint64(nil, uint64(uintptr(unsafe.Pointer(&scratch[0]))))
	buf, oob := make([]byte, 1<<20), make([]byte, 8<<10)
	for {
		_, err := unix.Write(control, answer)
		check("answer", err)
		n, oobn, _, _, err := unix.Recvmsg(control, buf, oob, unix.MSG_CMSG_CLOEXEC)
		check("request", err)
		if n == 0 {
			return
		}
		answer = []byte{0}
		switch buf[0] {
		case opRun:
			calls := make([]tracee.Call, (n-1)/tracee.CallSize)
			for i := range calls {
				b := buf[1+i*tracee.CallSize:]
				var a [7]uintptr
				for j := range a {
					a[j] = uintptr(binary.LittleEndian.Uint64(b[8*j:]))
				}
				r, _, e := unix.RawSyscall6(a[0], a[1], a[2], a[3], a[4], a[5], a[6])
				result := int64(r)
				if e != 0 {
					result = -int64(e)
				}
				answer = binary.NativeEndian.AppendUint64(answer, uint64(result))
			}
		case opReceive:
			messages, err := unix.ParseSocketControlMessage(oob[:oobn])
			check("control message", err)
			for _, m := range messages {
				fds, err := unix.ParseUnixRights(&m)
				check("rights", err)
				for _, fd := range fds {
					high, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, highFirst)
					check("dup", err)
					unix.Close(fd)
					answer = binary.NativeEndian.AppendUint64(answer, uint64(high))
				}
			}
		case opMove:
			to := int(binary.NativeEndian.Uint64(buf[1:]))
			check("move", unix.Dup3(control, to, unix.O_CLOEXEC))
			unix.Close(control)
			control = to
		}
	}
}

func (h *helper) ask(request []byte, rights []int) ([]byte, error) {
	var oob []byte
	if len(rights) > 0 {
		oob = unix.UnixRights(rights...)
	}
	if err := unix.Sendmsg(h.control, request, oob, nil, 0); err != nil {
		return nil, err
	}
	b := make([]byte, 1<<20)
	n, err := unix.Read(h.control, b)
	if err == nil && n == 0 {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, fmt.Errorf("helper: %w", err)
	}
	return b[1:n], nil
}

func (h *helper) PID() int { return h.pid }

func (h *helper) Call(nr uint64, args ...uint64) (uint64, error) {
	c := tracee.Call{Nr: nr}
	copy(c.Args[:], args)
	calls := []tracee.Call{c}
	if err := h.Run(calls); err != nil {
		return 0, err
	}
	return uint64(calls[0].Result), calls[0].Err()
}

func (h *helper) Run(calls []tracee.Call) error {
	for len(calls) > 0 {
		n := min(len(calls), 1000)
		request := make([]byte, 1+n*tracee.CallSize)
		request[0] = opRun
		tracee.EncodeCalls(calls[:n], request[1:])
		answer, err := h.ask(request, nil)
		if err != nil {
			return err
		}
		for i := range n {
			calls[i].Result = int64(binary.NativeEndian.Uint64(answer[8*i:]))
		}
		calls = calls[n:]
	}
	return nil
}

func (h *helper) Scratch() (uint64, int) { return h.scratch, scratchSize }

func (h *helper) mem(fn func(f *os.File) error) error {
	f, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", h.pid), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return fn(f)
}

func (h *helper) Read(addr uint64, b []byte) error {
	return h.mem(func(f *os.File) error { _, err := f.ReadAt(b, int64(addr)); return err })
}

func (h *helper) Write(addr uint64, b []byte) error {
	return h.mem(func(f *os.File) error { _, err := f.WriteAt(b, int64(addr)); return err })
}

func (h *helper) Send(fds []int) (numbers []int, err error) {
	for len(fds) > 0 {
		n := min(len(fds), 253)
		answer, err := h.ask([]byte{opReceive}, fds[:n])
		if err != nil {
			return nil, err
		}
		for ; len(answer) >= 8; answer = answer[8:] {
			numbers = append(numbers, int(binary.NativeEndian.Uint64(answer)))
		}
		fds = fds[n:]
	}
	return numbers, nil
}

func (h *helper) Take(fd int) (int, error) {
	pidfd, err := unix.PidfdOpen(h.pid, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(pidfd)
	return unix.PidfdGetfd(pidfd, fd, 0)
}

func (h *helper) Reserved() []int { return append([]int{h.theirs}, h.runtime...) }

func (h *helper) Avoid(numbers []int) error {
	hit := false
	taken := map[int]bool{}
	for _, n := range numbers {
		taken[n] = true
		hit = hit || n == h.theirs
	}
	if !hit {
		return nil
	}
	to := 9_000
	for ; taken[to]; to++ {
	}
	_, err := h.ask(binary.NativeEndian.AppendUint64([]byte{opMove}, uint64(to)), nil)
	h.theirs = to
	return err
}

// What the tests ask of a helper.

// call makes a call that must succeed.
func (h *helper) call(nr uint64, args ...uint64) uint64 {
	h.t.Helper()
	r, err := h.Call(nr, args...)
	if err != nil {
		h.t.Fatalf("system call %d of the helper with %d: %v", nr, args, err)
	}
	return r
}

// give puts bytes into the helper's scratch memory and returns their address.
func (h *helper) give(b []byte) uint64 {
	h.t.Helper()
	must(h.t, h.Write(h.scratch, b))
	return h.scratch
}

// read reads from a descriptor of the helper.
func (h *helper) read(number uint64, size int) (string, error) {
	n, err := h.Call(unix.SYS_READ, number, h.scratch, uint64(size))
	if err != nil {
		return "", err
	}
	b := make([]byte, n)
	must(h.t, h.Read(h.scratch, b))
	return string(b), nil
}

// root is where the helper's root directory is for us.
func (h *helper) root(name string) string {
	return filepath.Join(fmt.Sprintf("/proc/%d/root", h.pid), name)
}

func (h *helper) link(number int) string {
	s, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", h.pid, number))
	if err != nil {
		return err.Error()
	}
	return s
}

// info is a field of a descriptor's fdinfo.
func (h *helper) info(number int, field string) string {
	h.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%d", h.pid, number))
	must(h.t, err)
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(line, ":"); ok && k == field {
			return strings.TrimSpace(v)
		}
	}
	return "no " + field
}

// open are all descriptors of the helper but its own.
func (h *helper) open() (numbers []int) {
	h.t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", h.pid))
	must(h.t, err)
	for _, e := range entries {
		var n int
		fmt.Sscan(e.Name(), &n)
		if !slices.Contains(h.Reserved(), n) {
			numbers = append(numbers, n)
		}
	}
	return numbers
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
