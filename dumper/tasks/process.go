package tasks

import (
	"fmt"
	"strconv"
	"strings"

	"lxc-checkpoint/dumper/view"
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
)

// shape fills in what concerns the process as a whole and can be told from
// outside.
func (k *looking) shape() error {
	f := k.found
	if k.p.Stopped {
		f.State, f.StopSignal = format.ProcessState_STOPPED, uint32(k.p.StopSignal)
		// What a parent would get from wait4(2) stays there until it has asked
		// (task_stopped_code, kernel/exit.c).
		f.StopUnreported = k.stat.ExitCode != 0
	}
	if err := k.checkProcess(); err != nil {
		return err
	}
	if err := k.objects(); err != nil {
		return err
	}
	if err := k.ofProcess(k.seen(k.p.Alive())); err != nil {
		return err
	}
	k.terminal()
	return nil
}

// ofProcess takes what eBPF has seen of the process, or reads it.
func (k *looking) ofProcess(seen *view.Seen) error {
	f := k.found
	if seen != nil {
		for i, l := range seen.Limits {
			f.Limits = append(f.Limits, &format.Limit{Resource: uint32(i), Current: l.Current, Maximum: l.Maximum})
		}
		f.OomScoreAdj, f.AutogroupNice = seen.OOMScoreAdj, seen.AutogroupNice
		return nil
	}
	limits, err := procfs.ReadLimits(k.p.PID)
	if err != nil {
		return err
	}
	for _, l := range limits {
		f.Limits = append(f.Limits, &format.Limit{Resource: uint32(l.Resource), Current: l.Current, Maximum: l.Maximum})
	}
	adj, err := readInt(fmt.Sprintf("/proc/%d/oom_score_adj", k.p.PID), 10)
	if err != nil {
		return err
	}
	f.OomScoreAdj = int32(adj)
	f.AutogroupNice = autogroup(k.p.Alive())
	return nil
}

// objects finds which memory, tables and signal actions the process has.
func (k *looking) objects() (err error) {
	pid := k.p.Alive()
	var at view.Seen
	if seen := k.seen(pid); seen != nil {
		at = *seen
	}
	if k.found.Mm, k.freshMm, err = k.mms.Of(pid, at.Mm); err != nil {
		return err
	}
	if k.freshMm {
		k.note(Mm, k.found.Mm, pid)
	}
	if k.found.Process.Sighand, k.freshSighand, err = k.sighands.Of(pid, at.Sighand); err != nil {
		return err
	}
	k.filesID, k.fsID, err = k.tables(pid, at)
	return err
}

// tables finds a task's descriptor table and fs.
func (k *looking) tables(tid int, at view.Seen) (files, fs uint32, err error) {
	files, fresh, err := k.files.Of(tid, at.Files)
	if err != nil {
		return 0, 0, err
	}
	if fresh {
		k.note(Files, files, tid)
	}
	if fs, fresh, err = k.fs.Of(tid, at.Fs); err != nil {
		return 0, 0, err
	}
	if fresh {
		k.note(Fs, fs, tid)
	}
	return files, fs, nil
}

// tablesOf is tables for a thread: mostly they are its leader's.
func (k *looking) tablesOf(tid int) (files, fs uint32, err error) {
	if seen := k.seen(tid); seen != nil {
		return k.tables(tid, *seen)
	}
	sameFiles, err := k.files.Same(k.p.Alive(), tid)
	if err != nil {
		return 0, 0, err
	}
	sameFs, err := k.fs.Same(k.p.Alive(), tid)
	if err != nil || sameFiles && sameFs {
		return k.filesID, k.fsID, err
	}
	return k.tables(tid, view.Seen{})
}

func (k *looking) note(kind ObjectKind, id uint32, tid int) {
	k.found.Objects = append(k.found.Objects, Object{
		Kind: kind, ID: id, PID: tid, NSPID: int(k.found.Pid), Command: k.p.Command,
	})
}

// terminal fills in the controlling terminal; its path is for who knows the
// container's terminals.
func (k *looking) terminal() {
	// tty_nr: minor in bits 31 to 20 and 7 to 0, major in 15 to 8.
	nr := uint32(k.stat.Terminal)
	k.found.TerminalMajor, k.found.TerminalMinor = nr>>8&0xff, nr&0xff|nr>>12&0xfff00
	if nr == 0 || k.found.Session != k.found.Pid {
		return
	}
	k.found.Terminal = &format.ControllingTerminal{}
	if k.stat.Tpgid > 0 {
		k.found.Terminal.ForegroundGroup = k.groups[k.stat.Tpgid]
	}
}

// readInt reads a file that holds one number.
func readInt(path string, base int) (int64, error) {
	b, err := procfs.ReadFile(path)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(b)), base, 64)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	return n, nil
}
