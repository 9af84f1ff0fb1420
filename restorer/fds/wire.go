package fds

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"
	"lxc-checkpoint/restorer/place"
	"lxc-checkpoint/tracee"
)

// table is a descriptor table that is planted.
type table struct {
	*format.Files
	number map[uint32]uint32 // of each open file, the first
	file   map[uint32]uint32 // open file of each number
}

// asynchronous is an open file with O_ASYNC.
type asynchronous struct {
	file   *file
	place  place.Process
	number uint32
}

// Wire does what has to be done with the numbers that a table has: targets of
// epolls, owners of signals. It is called once per table, with a process that
// has it, when all tables are planted and all processes are there.
func (r *Restart) Wire(p place.Process, t *format.Files) error {
	w := &table{Files: t, number: make(map[uint32]uint32, len(t.Descriptors)), file: make(map[uint32]uint32, len(t.Descriptors))}
	for _, d := range t.Descriptors {
		w.file[d.Number] = d.OpenFile
		if _, ok := w.number[d.OpenFile]; !ok {
			w.number[d.OpenFile] = d.Number
		}
	}
	if err := r.own(p, w); err != nil {
		return err
	}
	for _, f := range r.files {
		if f.kind.wire == nil {
			continue
		}
		if err := f.kind.wire(r, p, w, f); err != nil {
			return fmt.Errorf("%s: %w", r.name(f), err)
		}
	}
	return nil
}

// own says who gets the signals of a table's open files, and which (fcntl(2),
// F_SETOWN and F_SETSIG). The owner's number is one of the container's pid
// namespace, so the call is made there.
func (r *Restart) own(p place.Process, t *table) error {
	var calls []tracee.Call
	var files []*file
	for _, d := range t.Descriptors {
		f := r.byID[d.OpenFile]
		if f.owned || f.Flags&unix.O_PATH != 0 {
			continue
		}
		f.owned = true
		switch {
		case f.OwnerThread:
			if err := r.ownThread(p, d.Number, f); err != nil {
				return err
			}
		case f.OwnerPid != 0:
			calls = append(calls, fcntl(d.Number, unix.F_SETOWN, uint64(int64(f.OwnerPid))))
			files = append(files, f)
		}
		if f.OwnerSignal != 0 {
			calls = append(calls, fcntl(d.Number, unix.F_SETSIG, uint64(f.OwnerSignal)))
			files = append(files, f)
		}
		if f.Flags&unix.O_ASYNC != 0 {
			r.async = append(r.async, asynchronous{f, p, d.Number})
		}
	}
	if len(calls) == 0 {
		return nil
	}
	if err := p.Run(calls); err != nil {
		return fmt.Errorf("set the owners of descriptors of process %d: %w", p.PID(), err)
	}
	for i, f := range files {
		if err := calls[i].Err(); err != nil {
			return fmt.Errorf("%s: send its signals (signal %d) to %d: %w", r.name(f), f.OwnerSignal, f.OwnerPid, err)
		}
	}
	return nil
}

// ownThread has a thread get the signals (F_SETOWN_EX, F_OWNER_TID).
func (r *Restart) ownThread(p place.Process, number uint32, f *file) error {
	addr, _ := p.Scratch()
	owner := binary.NativeEndian.AppendUint32(nil, sys.OwnerThread)
	if err := p.Write(addr, binary.NativeEndian.AppendUint32(owner, uint32(f.OwnerPid))); err != nil {
		return err
	}
	if _, err := p.Call(unix.SYS_FCNTL, uint64(number), unix.F_SETOWN_EX, addr); err != nil {
		return fmt.Errorf("%s: send its signals to thread %d: %w", r.name(f), f.OwnerPid, err)
	}
	return nil
}

func fcntl(number uint32, command int, arg uint64) tracee.Call {
	return tracee.Call{Nr: unix.SYS_FCNTL, Args: [6]uint64{uint64(number), uint64(command), arg}}
}

// Arm switches on what others notice: timers, watches, and signals about input
// and output (O_ASYNC). It is the last step, after CloseFiles, and makes calls in
// the processes that Wire was given.
func (r *Restart) Arm() error {
	for _, f := range r.files {
		if f.kind.arm == nil {
			continue
		}
		if err := f.kind.arm(r, f); err != nil {
			return fmt.Errorf("%s: %w", r.name(f), err)
		}
		closeFD(&f.fd)
	}
	for _, a := range r.async {
		// The number is part of the signal's siginfo (fcntl(2), F_SETSIG), so
		// the call is made with it.
		if _, err := a.place.Call(unix.SYS_FCNTL, uint64(a.number), unix.F_SETFL, uint64(a.file.Flags)); err != nil {
			return fmt.Errorf("%s: switch on its signals: %w", r.name(a.file), err)
		}
	}
	r.async = nil
	return nil
}
