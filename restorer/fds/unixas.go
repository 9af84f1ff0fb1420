package fds

import (
	"encoding/binary"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/internal/sys"
	"lxc-checkpoint/restorer/place"
	"lxc-checkpoint/tracee"
)

// The kernel keeps for SO_PEERCRED who called socketpair(2), listen(2) or
// connect(2): process, effective ids and groups. So those calls are made in the
// process that had made them, while it has the ids that it had then.

// as runs fn with the process of some credentials; with the container's first
// one if nobody knows any.
func (j *join) as(c *format.PeerCredentials, fn func(p place.Process) error) error {
	if c == nil {
		return fn(j.root)
	}
	if p := j.people.Leader(c.Pid); p != nil {
		return fn(p)
	}
	called := false
	err := j.people.With(c.Pid, func(p place.Process) error {
		called = true
		return fn(p)
	})
	if err != nil && !called {
		j.log.Warn("a socket's peer will be seen as another process: that which it was has ended, and its number can't be had", "process", c.Pid, "why", err)
		return fn(j.root)
	}
	return err
}

// who are the ids that a process has to have for a call.
type who struct {
	uid, gid, real uint32
	groups         []uint32
}

// inside translates ids to those of a process's user namespace.
func (j *join) inside(p place.Process, all ...who) (is, want who, err error) {
	users := j.usersOf(p)
	translate := func(id uint32, inside func(uint32) (uint32, bool)) uint32 {
		there, ok := inside(id)
		if !ok && err == nil {
			err = fmt.Errorf("id %d of the host has no number in the user namespace of process %d", id, p.PID())
		}
		return there
	}
	for i := range all {
		w := &all[i]
		w.uid, w.gid, w.real = translate(w.uid, users.UID), translate(w.gid, users.GID), translate(w.real, users.UID)
		w.groups = slices.Clone(w.groups)
		for k, g := range w.groups {
			w.groups[k] = translate(g, users.GID)
		}
	}
	return all[0], all[1], err
}

// callAs makes calls in p with the ids of c; its own are as before afterwards.
func (j *join) callAs(p place.Process, c *format.PeerCredentials, calls []tracee.Call) error {
	if c == nil {
		return runChecked(p, calls)
	}
	status, err := procfs.ReadStatus(p.PID())
	if err != nil {
		return err
	}
	is := who{status.UIDs[1], status.GIDs[1], status.UIDs[0], status.Groups}
	want := who{c.Uid, c.Gid, c.Uid, c.Groups}
	if is.uid == want.uid && is.gid == want.gid && slices.Equal(is.groups, want.groups) {
		return runChecked(p, calls)
	}
	if is, want, err = j.inside(p, is, want); err != nil {
		return err
	}
	addr, size := p.Scratch()
	if size < groupsAt+4*(len(is.groups)+len(want.groups)) {
		return fmt.Errorf("its peer had %d groups, which is too many", len(c.Groups))
	}
	var memory []byte
	for _, g := range append(slices.Clone(want.groups), is.groups...) {
		memory = binary.LittleEndian.AppendUint32(memory, g)
	}
	if err := p.Write(addr+groupsAt, memory); err != nil {
		return err
	}
	call := func(nr uint64, a, b, c uint64) tracee.Call { return tracee.Call{Nr: nr, Args: [6]uint64{a, b, c}} }
	before := []tracee.Call{
		call(unix.SYS_SETGROUPS, uint64(len(want.groups)), addr+groupsAt, 0),
		call(unix.SYS_SETRESGID, same, uint64(want.gid), same),
		call(unix.SYS_SETRESUID, same, uint64(want.uid), same),
		// So that it finds and opens what root can (CAP_DAC_OVERRIDE).
		call(unix.SYS_SETFSUID, uint64(is.real), 0, 0),
	}
	after := []tracee.Call{
		call(unix.SYS_SETRESUID, same, uint64(is.uid), same),
		call(unix.SYS_SETRESGID, same, uint64(is.gid), same),
		call(unix.SYS_SETGROUPS, uint64(len(is.groups)), addr+groupsAt+4*uint64(len(want.groups)), 0),
	}
	all := append(append(before, calls...), after...)
	err = runChecked(p, all)
	copy(calls, all[len(before):])
	return err
}

// groupsAt is where lists of groups lie in scratch memory; before that there is
// room for a call's arguments.
const groupsAt = 1024

// runChecked runs calls and wants all of them to succeed; setfsuid(2) always
// does.
func runChecked(p place.Process, calls []tracee.Call) error {
	if err := p.Run(calls); err != nil {
		return err
	}
	for i := range calls {
		if err := calls[i].Err(); err != nil {
			return fmt.Errorf("system call %d in process %d: %w", calls[i].Nr, p.PID(), err)
		}
	}
	return nil
}

func shut(fd int) tracee.Call {
	return tracee.Call{Nr: unix.SYS_CLOSE, Args: [6]uint64{uint64(fd)}}
}

// listenAs has who c is listen at a socket.
func (j *join) listenAs(c *format.PeerCredentials, fd int, backlog uint32) error {
	return j.as(c, func(p place.Process) error {
		sent, err := p.Send([]int{fd})
		if err != nil {
			return err
		}
		return j.callAs(p, c, []tracee.Call{
			{Nr: unix.SYS_LISTEN, Args: [6]uint64{uint64(sent[0]), uint64(backlog)}},
			shut(sent[0]),
		})
	})
}

// connectAs has who c is connect a socket to another one, which has a file at s
// or else an abstract address.
func (j *join) connectAs(c *format.PeerCredentials, fd int, address []byte, s *spot) error {
	// Should the queue be full, an error is better than a call that sleeps.
	if err := setFlags(fd, unix.O_NONBLOCK); err != nil {
		return err
	}
	return j.as(c, func(p place.Process) error {
		fds := []int{fd}
		if s != nil {
			fds = append(fds, s.dir)
			address = []byte(s.base)
		}
		sent, err := p.Send(fds)
		if err != nil {
			return err
		}
		addr, _ := p.Scratch()
		raw := sys.RawUnixAddress(address)
		const slash = 512
		memory := make([]byte, slash+2)
		copy(memory, raw)
		memory[slash] = '/'
		if err := p.Write(addr, memory); err != nil {
			return err
		}
		connect := tracee.Call{Nr: unix.SYS_CONNECT, Args: [6]uint64{uint64(sent[0]), addr, uint64(len(raw))}}
		if s == nil {
			return j.callAs(p, c, []tracee.Call{connect, shut(sent[0])})
		}
		// Its working directory is set in the end.
		return j.callAs(p, c, []tracee.Call{
			{Nr: unix.SYS_FCHDIR, Args: [6]uint64{uint64(sent[1])}},
			connect,
			{Nr: unix.SYS_CHDIR, Args: [6]uint64{addr + slash}},
			shut(sent[0]), shut(sent[1]),
		})
	})
}

// pairAs has who c is make a pair of sockets.
func (j *join) pairAs(c *format.PeerCredentials, typ uint32) (ends [2]int, err error) {
	ends = [2]int{-1, -1}
	err = j.as(c, func(p place.Process) error {
		addr, _ := p.Scratch()
		if err := j.callAs(p, c, []tracee.Call{{Nr: unix.SYS_SOCKETPAIR, Args: [6]uint64{unix.AF_UNIX, uint64(typ) | unix.SOCK_CLOEXEC, 0, addr}}}); err != nil {
			return err
		}
		var b [8]byte
		if err := p.Read(addr, b[:]); err != nil {
			return err
		}
		var calls []tracee.Call
		for i := range ends {
			there := int(binary.LittleEndian.Uint32(b[4*i:]))
			if ends[i], err = p.Take(there); err != nil {
				ends[i] = -1
				return err
			}
			calls = append(calls, shut(there))
		}
		return runChecked(p, calls)
	})
	if err != nil {
		closeFD(&ends[0])
		closeFD(&ends[1])
		return ends, fmt.Errorf("make a pair of sockets: %w", err)
	}
	return ends, nil
}
