package fds

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
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
		if f.OwnerPid != 0 {
			if err := r.setOwner(p, d.Number, f); err != nil {
				return fmt.Errorf("%s: send its signals to %d: %w", r.name(f), f.OwnerPid, err)
			}
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
			return fmt.Errorf("%s: send signal %d for it: %w", r.name(f), f.OwnerSignal, err)
		}
	}
	return nil
}

// setOwner says who gets the signals of one open file. The kernel notes the
// user ids of whoever says so (f_modown, fs/fcntl.c): they decide whom the
// signals may reach. So the call is made with those of then.
func (r *Restart) setOwner(p place.Process, number uint32, f *file) error {
	who, pid := uint32(sys.OwnerProcess), f.OwnerPid
	switch {
	case f.OwnerThread:
		who = sys.OwnerThread
	case pid < 0:
		who, pid = sys.OwnerGroup, -pid
	}
	if r.Number != nil {
		number, err := r.Number(p.PID(), uint32(pid))
		if err != nil {
			return err
		}
		pid = int32(number)
	}
	addr, _ := p.Scratch()
	owner := binary.NativeEndian.AppendUint32(nil, who)
	if err := p.Write(addr, binary.NativeEndian.AppendUint32(owner, uint32(pid))); err != nil {
		return err
	}
	calls := []tracee.Call{fcntl(number, unix.F_SETOWN_EX, addr)}
	to, back, err := r.identities(p, f)
	if err != nil {
		return err
	}
	if to != back {
		calls = []tracee.Call{setUIDs(to), calls[0], setUIDs(back)}
	}
	return place.RunAll(p, calls)
}

// identities are the real and the effective user id of whoever made a process the
// owner of a file, and those that it has itself, as it calls them.
func (r *Restart) identities(p place.Process, f *file) (to, back [2]uint32, err error) {
	users := r.usersOf(p)
	if users == nil {
		return [2]uint32{f.OwnerUid, f.OwnerEuid}, back, nil
	}
	have, err := procfs.ReadStatus(p.PID())
	if err != nil {
		return to, back, err
	}
	if have.UIDs[0] == f.OwnerUid && have.UIDs[1] == f.OwnerEuid {
		return to, back, nil
	}
	for i, id := range []uint32{f.OwnerUid, f.OwnerEuid} {
		var known bool
		if back[i], known = users.UID(have.UIDs[i]); !known {
			back[i] = same // it gets its own later
		}
		if to[i], known = users.UID(id); !known {
			return to, back, fmt.Errorf("user %d of the host has no number in the user namespace of its owner", id)
		}
	}
	return to, back, nil
}

// same leaves an id as it is (setresuid(2)).
const same = 1<<32 - 1

// setUIDs sets the real and the effective user id; the saved one stays, and
// with it the right to go back.
func setUIDs(ids [2]uint32) tracee.Call {
	return tracee.Call{Nr: unix.SYS_SETRESUID, Args: [6]uint64{uint64(ids[0]), uint64(ids[1]), same}}
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
	if err := r.notifyQueues(); err != nil {
		return err
	}
	if err := r.launchRings(); err != nil {
		return err
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
