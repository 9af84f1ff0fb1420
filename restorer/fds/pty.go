package fds

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"
	"lxc-checkpoint/internal/tty"
)

// makePtyMaster makes a pseudo terminal, unless it had to be there earlier, as
// the controlling one of a session.
func makePtyMaster(_ context.Context, r *Restart, f *file) (int, error) {
	fd, err := r.pty(f)
	if err != nil {
		return -1, err
	}
	if err := setFlags(fd, f.Flags); err != nil {
		return -1, err
	}
	if m := f.GetPtyMaster(); m.Outside {
		kept, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return -1, err
		}
		name := m.Slave()
		r.Outside = append(r.Outside, os.NewFile(uintptr(kept), "the master of "+name))
	}
	// Close and Arm close it by f.fd.
	return fd, nil
}

// ptyAt makes the pseudo terminal whose slave has a path, if the image has it.
func (r *Restart) ptyAt(name string) error {
	for _, f := range r.files {
		if m := f.GetPtyMaster(); m != nil && name == m.Slave() {
			_, err := r.pty(f)
			return err
		}
	}
	return nil
}

// pty makes a pseudo terminal once, and returns its master.
func (r *Restart) pty(f *file) (int, error) {
	if f.fd >= 0 {
		return f.fd, nil
	}
	m := f.GetPtyMaster()
	fd, err := r.numberedPty(m)
	if err != nil {
		return -1, err
	}
	f.fd = fd
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return -1, fmt.Errorf("unlock pseudo terminal %d: %w", m.Index, err)
	}
	if err := r.ownSlave(m); err != nil {
		return -1, err
	}
	return fd, setTerminal(fd, &format.Terminal{Path: m.Slave(), Termios: m.Termios, Winsize: m.Winsize})
}

// errTaken says that somebody else has the number of a pseudo terminal.
var errTaken = errors.New("another pseudo terminal has the number")

// numberedPty makes the pseudo terminal with the number that it had. Where the
// host's devpts is the container's, too, another restart may have the number for
// a moment, as a lower one.
func (r *Restart) numberedPty(m *format.PtyMaster) (fd int, err error) {
	if err := r.isPtmx(m.Path); err != nil {
		return -1, err
	}
	for range 200 {
		if fd, err = r.tryPty(m); !errors.Is(err, errTaken) {
			return fd, err
		}
		time.Sleep(10 * time.Millisecond)
	}
	return -1, fmt.Errorf("number %d of %s is taken by a pseudo terminal that the container did not have: give the container a devpts of its own, or end whoever has it", m.Index, m.Directory)
}

// tryPty takes the lowest numbers that are free, which is how the kernel gives
// them, up to the wanted one.
func (r *Restart) tryPty(m *format.PtyMaster) (int, error) {
	var below []int
	defer func() {
		for _, fd := range below {
			unix.Close(fd)
		}
	}()
	for {
		fd, err := r.lookup(m.Path, unix.O_RDWR|unix.O_NOCTTY)
		if errors.Is(err, unix.ENOSPC) {
			return -1, fmt.Errorf("there are no more pseudo terminals to be had: raise sysctl kernel.pty.max or the mount option max of %s: %w", m.Directory, err)
		}
		if err != nil {
			return -1, err
		}
		index, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
		switch {
		case err == nil && index == int(m.Index):
			return fd, nil
		case err == nil && index < int(m.Index):
			below = append(below, fd)
			continue
		case err == nil:
			err = errTaken
		}
		unix.Close(fd)
		return -1, err
	}
}

// isPtmx sees that a path leads to what makes pseudo terminals, since opening
// another device could do anything.
func (r *Restart) isPtmx(name string) error {
	fd, err := r.lookup(name, unix.O_PATH)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFCHR || unix.Major(st.Rdev) != majorTTY || unix.Minor(st.Rdev) != 2 {
		return fmt.Errorf("%s made pseudo terminals, and is %s now: mount a devpts as it was", name, describe(identityIs(&st)))
	}
	return nil
}

// ownSlave gives the slave's node its owner and mode.
func (r *Restart) ownSlave(m *format.PtyMaster) error {
	name := m.Slave()
	fd, err := r.lookup(name, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return fmt.Errorf("the slave of pseudo terminal %d: %w", m.Index, err)
	}
	defer unix.Close(fd)
	if err := unix.Fchownat(fd, "", int(m.Uid), int(m.Gid), unix.AT_EMPTY_PATH); err != nil {
		return fmt.Errorf("give %s to user %d, group %d: %w", name, m.Uid, m.Gid, err)
	}
	if err := unix.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), m.Mode&0o7777); err != nil {
		return fmt.Errorf("set the mode of %s to %#o: %w", name, m.Mode, err)
	}
	return nil
}

// armPtyMaster puts back what lay unread, and then what would be in the way of
// that: the lock, exclusive use, packet mode.
func armPtyMaster(r *Restart, f *file) error {
	m := f.GetPtyMaster()
	if err := r.fillPty(f.fd, m); err != nil {
		return err
	}
	for _, flag := range []struct {
		set     bool
		request uint
	}{{m.Packet, unix.TIOCPKT}, {m.Locked, unix.TIOCSPTLCK}} {
		if !flag.set {
			continue
		}
		if err := unix.IoctlSetPointerInt(f.fd, flag.request, 1); err != nil {
			return fmt.Errorf("set the flags of pseudo terminal %d: %w", m.Index, err)
		}
	}
	return nil
}

// fillPty opens the slave for a moment, if that has to be.
func (r *Restart) fillPty(master int, m *format.PtyMaster) error {
	if len(m.Output)+len(m.Input) == 0 && !m.HungUp && !m.Exclusive {
		return nil
	}
	slave, err := r.openTerminal(m.Slave(), unix.O_RDWR)
	if err != nil {
		return err
	}
	// With the last slave the master hears of a hang-up, as it had.
	defer unix.Close(slave)
	if err := tty.Put(master, slave, tty.Queues{Output: m.Output, Input: m.Input}); err != nil {
		return fmt.Errorf("put back what lay unread in pseudo terminal %d: %w", m.Index, err)
	}
	if m.Exclusive {
		if err := sys.IoctlBytes(slave, unix.TIOCEXCL, nil); err != nil {
			return fmt.Errorf("have pseudo terminal %d for exclusive use: %w", m.Index, err)
		}
	}
	return nil
}
