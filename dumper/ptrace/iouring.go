package ptrace

import (
	"fmt"
	"os"
	"strings"
	"time"

	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/refusal"
)

// sleepingWorkers refuses a container in which a request of io_uring sleeps in a
// worker of the kernel: a read of a FIFO that nobody has opened, say. To freeze
// the cgroup wakes the worker, and the request would end with an error that no
// program knows: -512, ERESTARTSYS (Linux 6.18, both freezers). What is only
// passing is waited for a little.
func (h *Held) sleepingWorkers() error {
	const times, pause = 5, 10 * time.Millisecond
	if h.wasFrozen {
		return nil // that has happened
	}
	var err error
	for range times {
		if err = h.sleepingWorker(); err == nil {
			return nil
		}
		time.Sleep(pause)
	}
	return err
}

func (h *Held) sleepingWorker() error {
	pids, err := h.container.Processes()
	if err != nil {
		return err
	}
	for _, pid := range pids {
		entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
		if err != nil || len(entries) == 1 {
			continue // it has ended, or has no worker
		}
		for _, e := range entries {
			task := fmt.Sprintf("/proc/%d/task/%s/", pid, e.Name())
			name, err := os.ReadFile(task + "comm")
			if err != nil || !strings.HasPrefix(string(name), "iou-wrk-") {
				continue
			}
			if in := sleepsIn(task); in != "" {
				return workerRefusal(pid, in)
			}
		}
	}
	return nil
}

// sleepsIn is the function of the kernel that a worker sleeps in, in a way that a
// signal interrupts; empty if it has nothing to do, or runs.
func sleepsIn(task string) string {
	stat, err := os.ReadFile(task + "stat")
	_, rest, ok := strings.Cut(string(stat), ") ")
	if err != nil || !ok || !strings.HasPrefix(rest, "S") {
		return ""
	}
	in, err := os.ReadFile(task + "wchan")
	const idle = "io_wq_worker"
	if err != nil || string(in) == "0" || string(in) == idle {
		return ""
	}
	return string(in)
}

func workerRefusal(pid int, in string) error {
	r := &refusal.Refusal{
		PID: pid, Kind: "io_uring",
		Reason: fmt.Sprintf("a request sleeps in a worker of the kernel (in %s), and to freeze the container would end it with an error", in),
		Remedy: "let it complete, or have the program cancel it, before the checkpoint",
	}
	if name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); err == nil {
		r.Command = strings.TrimSpace(string(name))
	}
	if s, err := procfs.ReadStatus(pid); err == nil && len(s.NSpid) > 0 {
		r.PID = int(s.NSpid[len(s.NSpid)-1])
	}
	return r
}
