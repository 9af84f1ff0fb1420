package fds

import (
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/dumper/kernel"
	"lxc-checkpoint/image/format"
)

// lookPressure finds out what somebody waits for who has written it into a file of
// pressure stall information: /proc/pressure/NAME, or NAME.pressure of a cgroup. It
// is in none of the files, so eBPF has to read it in the kernel. Where it can't, the
// program is told what systemd and its services, who are those that wait, ask for.
func (w *walk) lookPressure(f *file) error {
	if f.access() == unix.O_RDONLY {
		return nil
	}
	name, of := strings.CutSuffix(path.Base(f.link), ".pressure")
	if !of && !strings.HasSuffix(path.Dir(f.link), "/pressure") {
		return nil
	}
	fd, err := f.copy()
	if err != nil {
		return err
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return err
	}
	cgroup := fs.Type == unix.CGROUP2_SUPER_MAGIC
	if cgroup != of || !cgroup && fs.Type != unix.PROC_SUPER_MAGIC {
		return nil
	}
	t, known, err := w.trigger(f, cgroup, name == "irq")
	if err == nil && !known {
		t, err = usualTrigger(fd)
	}
	if t != nil {
		f.Pressure = &format.PressureTrigger{
			Full: t.Full, ThresholdUs: uint32(t.Threshold / uint64(time.Microsecond)), WindowUs: uint32(t.Window / uint64(time.Microsecond)),
		}
	}
	return err
}

// trigger reads it in the kernel; known says whether that is possible.
func (w *walk) trigger(f *file, cgroup, irq bool) (t *kernel.Trigger, known bool, err error) {
	if facts := w.Facts[f.PID]; w.Kernel != nil && facts != nil && facts.Address != 0 {
		k, err := w.Kernel()
		if err != nil {
			return nil, false, err
		}
		t, err = kernel.New(k, facts.Address).Trigger(facts.Address, uint32(f.number), cgroup, irq)
		return t, true, err
	}
	return nil, false, nil
}

// usualTrigger is systemd's (sd_event_add_memory_pressure(3)), if there is one at
// all: without one poll(2) calls the file an error.
func usualTrigger(fd int) (*kernel.Trigger, error) {
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLPRI}}
	if _, err := unix.Poll(p, 0); err != nil || p[0].Revents&unix.POLLERR != 0 {
		return nil, err
	}
	return &kernel.Trigger{Threshold: uint64(200 * time.Millisecond), Window: uint64(2 * time.Second)}, nil
}
