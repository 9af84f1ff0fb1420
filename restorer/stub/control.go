package stub

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/internal/sys"
	"lxc-checkpoint/tracee"
)

// sendAtOnce is below SCM_MAX_FD (253, include/net/scm.h).
const sendAtOnce = 250

// openControl makes a pair of sockets in the task and takes one of them out.
// So nothing has to be handed in by whoever started the task, and it works from
// inside any set of namespaces, without a right of the task over us.
func (p *Task) openControl() error {
	if err := p.raiseLimit(); err != nil {
		return err
	}
	addr, _ := p.Scratch()
	if _, err := p.Call(unix.SYS_SOCKETPAIR, unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0, addr); err != nil {
		return fmt.Errorf("socketpair: %w", err)
	}
	var b [8]byte
	if err := p.Read(addr, b[:]); err != nil {
		return err
	}
	mine, theirs := int(binary.LittleEndian.Uint32(b[:])), binary.LittleEndian.Uint32(b[4:])
	var err error
	if p.socket, err = p.Take(mine); err != nil {
		return err
	}
	if theirs != uint32(p.control) { // dup3 refuses equal numbers
		if _, err := p.Call(unix.SYS_DUP3, uint64(theirs), uint64(p.control), unix.O_CLOEXEC); err != nil {
			return fmt.Errorf("move descriptor %d to %d (raise the limit of open files): %w", theirs, p.control, err)
		}
	}
	for _, fd := range []uint64{uint64(mine), uint64(theirs)} {
		if fd == uint64(p.control) {
			continue
		}
		if _, err := p.Call(unix.SYS_CLOSE, fd); err != nil {
			return err
		}
	}
	return nil
}

// raiseLimit makes room for the numbers that the restart needs: they lie above
// the image's own. The limit is set to the image's value in the end.
func (p *Task) raiseLimit() error {
	lim := unix.Rlimit{}
	if err := unix.Prlimit(p.PID(), unix.RLIMIT_NOFILE, nil, &lim); err != nil {
		return nil // what is too high will be said where a number is
	}
	// All of a table's files are sent at once, to numbers above those they get.
	const more = 1024
	if want := uint64(2*p.base + more); lim.Max < want {
		// From outside: the container may lack CAP_SYS_RESOURCE. So may we.
		raised := unix.Rlimit{Cur: want, Max: want}
		if unix.Prlimit(p.PID(), unix.RLIMIT_NOFILE, &raised, nil) == nil {
			return nil
		}
	}
	if lim.Cur == lim.Max {
		return nil
	}
	lim.Cur = lim.Max
	return p.setLimit(unix.RLIMIT_NOFILE, lim)
}

func (p *Task) setLimit(resource int, lim unix.Rlimit) error {
	addr, _ := p.Scratch()
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], lim.Cur)
	binary.LittleEndian.PutUint64(b[8:], lim.Max)
	if err := p.Write(addr, b[:]); err != nil {
		return err
	}
	_, err := p.Call(unix.SYS_PRLIMIT64, 0, uint64(resource), addr, 0)
	return err
}

// Close gives up our end of the control socket. The stubs' end goes with their
// last CloseControl.
func (f *Family) Close() error {
	if f.socket < 0 {
		return nil
	}
	fd := f.socket
	f.socket = -1
	return unix.Close(fd)
}

// CloseControl closes the control socket in the task's table. Nothing can be
// sent to it any more.
func (p *Task) CloseControl() error {
	_, err := p.Call(unix.SYS_CLOSE, uint64(p.control))
	return err
}

// Take gets one of the task's descriptors.
func (p *Task) Take(fd int) (int, error) {
	pidfd, err := openPidfd(p.PID())
	if err != nil {
		return -1, fmt.Errorf("pidfd of task %d: %w", p.PID(), err)
	}
	defer unix.Close(pidfd)
	got, err := unix.PidfdGetfd(pidfd, fd, 0)
	if err != nil {
		return -1, fmt.Errorf("take descriptor %d of task %d: %w", fd, p.PID(), err)
	}
	return got, nil
}

// openPidfd opens a pidfd by which descriptors can be taken. That of a thread which is
// not a leader needs PIDFD_THREAD (Linux 6.9); before, its leader's will do if they
// share their table.
func openPidfd(pid int) (int, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err == nil {
		return fd, nil
	}
	const pidfdThread = unix.O_EXCL
	if fd, err = unix.PidfdOpen(pid, pidfdThread); !errors.Is(err, unix.EINVAL) {
		return fd, err
	}
	status, e := procfs.ReadStatus(pid)
	if e != nil {
		return -1, err
	}
	if order, e := sys.Kcmp(pid, status.Tgid, sys.KcmpFiles, 0, 0); e != nil || order != 0 {
		return -1, err
	}
	return unix.PidfdOpen(status.Tgid, 0)
}

// Reserved is the control socket.
func (p *Task) Reserved() []int { return []int{p.control} }

// Avoid reports a collision; there is none as long as Begin was told the
// highest number that the image uses.
func (p *Task) Avoid(numbers []int) error {
	if slices.Contains(numbers, p.control) {
		return fmt.Errorf("descriptor %d is the restart's own", p.control)
	}
	return nil
}

// Send puts descriptors into the task.
func (p *Task) Send(fds []int) ([]int, error) {
	var all []int
	for chunk := range slices.Chunk(fds, sendAtOnce) {
		got, err := p.send(chunk)
		if err != nil {
			return nil, fmt.Errorf("send %d descriptors to task %d: %w", len(chunk), p.PID(), err)
		}
		all = append(all, got...)
	}
	return all, nil
}

func (p *Task) send(fds []int) ([]int, error) {
	if err := unix.Sendmsg(p.socket, []byte{0}, unix.UnixRights(fds...), nil, 0); err != nil {
		return nil, err
	}
	low, err := p.receive(len(fds))
	if err != nil {
		return nil, err
	}
	// recvmsg took the lowest free numbers: bring them above the image's.
	moves := make([]tracee.Call, 0, 2*len(low))
	for _, fd := range low {
		moves = append(moves, tracee.Call{Nr: unix.SYS_FCNTL, Args: [6]uint64{uint64(fd), unix.F_DUPFD_CLOEXEC, uint64(p.base)}})
	}
	for _, fd := range low {
		moves = append(moves, tracee.Call{Nr: unix.SYS_CLOSE, Args: [6]uint64{uint64(fd)}})
	}
	if err := p.Run(moves); err != nil {
		return nil, err
	}
	high := make([]int, len(low))
	for i := range low {
		if err := moves[i].Err(); err != nil {
			return nil, fmt.Errorf("no descriptor number above %d (raise the limit of open files): %w", p.base, err)
		}
		high[i] = int(moves[i].Result)
	}
	return high, nil
}

// receive runs recvmsg in the task. The scratch holds msghdr, iovec, one byte
// and the control message.
func (p *Task) receive(n int) ([]int, error) {
	const iov, data, control = 64, 96, 128
	addr, _ := p.Scratch()
	le := binary.LittleEndian
	b := make([]byte, control+unix.CmsgSpace(4*n))
	le.PutUint64(b[16:], addr+iov) // msg_iov
	le.PutUint64(b[24:], 1)
	le.PutUint64(b[32:], addr+control) // msg_control
	le.PutUint64(b[40:], uint64(unix.CmsgSpace(4*n)))
	le.PutUint64(b[iov:], addr+data)
	le.PutUint64(b[iov+8:], 1)
	if err := p.Write(addr, b); err != nil {
		return nil, err
	}
	if _, err := p.Call(unix.SYS_RECVMSG, uint64(p.control), addr, unix.MSG_CMSG_CLOEXEC|unix.MSG_DONTWAIT); err != nil {
		return nil, fmt.Errorf("recvmsg: %w", err)
	}
	if err := p.Read(addr, b); err != nil {
		return nil, err
	}
	if le.Uint32(b[48:])&unix.MSG_CTRUNC != 0 {
		return nil, fmt.Errorf("it has no room for %d more (raise the limit of open files): %w", n, unix.EMFILE)
	}
	got := make([]int, n)
	for i := range got {
		got[i] = int(le.Uint32(b[control+unix.CmsgLen(0)+4*i:]))
	}
	return got, nil
}
