package fds

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/dumper/view"
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/internal/sys"
	"lxc-checkpoint/refusal"
)

// file is an open file description, seen through the first descriptor of it.
type file struct {
	*format.OpenFile
	Table
	number  int
	link    string // /proc/PID/fd/N
	stat    unix.Stat_t
	info    *procfs.FDInfo
	network *network     // of a socket
	object  *view.Object // its file has no path; nil: it may have
	holders []holder
	copied  int    // our copy plus one; 0: none
	badLock string // of the locks on it, one that can't be taken
	// It was found in the queue of a socket: Table is ours, number that of the
	// copy that came with it, which stays open for comparison. where says whose
	// queue.
	flying bool
	where  string
}

// holder is a descriptor of the file.
type holder struct {
	Table
	number int
}

func (f *file) typ() uint32 { return f.stat.Mode & unix.S_IFMT }

func (f *file) access() uint32 { return f.OpenFile.Flags & unix.O_ACCMODE }

// refuse says that the file can't be taken.
func (f *file) refuse(kind, reason, remedy string) error {
	object := fmt.Sprintf("descriptor %d", f.number)
	if f.flying {
		object = f.where
	}
	return &refusal.Refusal{
		PID: f.NSPID, Command: f.Command, Object: object,
		Kind: kind, Reason: reason, Remedy: remedy,
	}
}

// refuseNow says that the file can't be taken as it is at this moment.
func (f *file) refuseNow(kind, reason, remedy string) error {
	err := f.refuse(kind, reason, remedy)
	var r *refusal.Refusal
	if errors.As(err, &r) {
		r.Passing = true
	}
	return err
}

func (f *file) wrap(err error) error {
	return fmt.Errorf("process %d (%s), descriptor %d (%s): %w", f.NSPID, f.Command, f.number, f.link, err)
}

// copy is our own descriptor of the same open file (pidfd_getfd): whatever is
// changed through it changes for the program, so it is only asked.
func (f *file) copy() (int, error) {
	if f.copied > 0 {
		return f.copied - 1, nil
	}
	pidfd, err := unix.PidfdOpen(f.PID, 0)
	if err != nil {
		// A thread that is no leader and has a table of its own.
		pidfd, err = unix.PidfdOpen(f.PID, unix.O_EXCL)
		if err == unix.EINVAL {
			return -1, f.refuse(f.link, "it is open only in a thread that shares its descriptors with no process, and before Linux 6.9 nobody can ask such a thread for them",
				"have the program close it before the checkpoint, or run the container on Linux 6.9")
		}
		if err != nil {
			return -1, fmt.Errorf("pidfd of task %d: %w", f.PID, err)
		}
	}
	defer unix.Close(pidfd)
	fd, err := unix.PidfdGetfd(pidfd, f.number, 0)
	if err != nil {
		return -1, fmt.Errorf("copy it (pidfd_getfd, Linux 5.6): %w", err)
	}
	f.copied = fd + 1
	return fd, nil
}

func (f *file) closeCopy() {
	if f.copied > 0 {
		unix.Close(f.copied - 1)
		f.copied = 0
	}
}

// groupKey holds what the same open file must have in common; so few pairs
// have to be compared.
type groupKey struct {
	inode
	position int64
	flags    uint64
	mount    int
}

// identify finds the known file that f is, or notes f as a new one. kcmp(2)
// orders files (by their obfuscated kernel address), so each group is kept
// sorted: thousands of eventfds, which share one inode, cost n log n.
func (w *walk) identify(f *file) (*file, error) {
	key := groupKey{inode{f.stat.Dev, f.stat.Ino}, f.info.Position, f.info.Flags &^ unix.O_CLOEXEC, f.info.MountID}
	group := w.groups[key]
	lo, hi := 0, len(group)
	for lo < hi {
		mid := (lo + hi) / 2
		g := group[mid]
		order, err := sys.Kcmp(f.PID, g.PID, sys.KcmpFile, uintptr(f.number), uintptr(g.number))
		if err != nil {
			return nil, fmt.Errorf("compare it with descriptor %d of process %d (kcmp; the kernel needs CONFIG_KCMP): %w", g.number, g.NSPID, err)
		}
		switch order {
		case 0:
			return g, nil
		case 1:
			hi = mid
		default:
			lo = mid + 1
		}
	}
	group = append(group, nil)
	copy(group[lo+1:], group[lo:])
	group[lo] = f
	w.groups[key] = group
	return nil, nil
}

// owner saves who gets the signals of the file (F_SETOWN, F_SETSIG).
func (w *walk) owner(f *file) error {
	fd, err := f.copy()
	if err != nil {
		return err
	}
	sig, err := unix.FcntlInt(uintptr(fd), unix.F_GETSIG, 0)
	if err != nil {
		return err
	}
	f.OwnerSignal = int32(sig)
	owner, err := sys.Owner(fd)
	if err != nil || owner.PID == 0 {
		return err
	}
	s, err := procfs.ReadStatus(int(owner.PID))
	if err != nil || len(s.NSpid) == 0 {
		return f.refuse("owner of "+f.link, fmt.Sprintf("process or group %d, which gets its signals, has ended or is outside", owner.PID), "")
	}
	f.OwnerPid = int32(s.NSpid[len(s.NSpid)-1])
	if number, ok := w.Tasks[int(owner.PID)]; ok { // in the container's pid namespace, it may be in a deeper one
		f.OwnerPid = int32(number)
	}
	if f.OwnerUid, f.OwnerEuid, err = sys.OwnerUIDs(fd); err != nil {
		return err
	}
	switch owner.Type {
	case sys.OwnerGroup:
		f.OwnerPid = -f.OwnerPid
	case sys.OwnerThread:
		f.OwnerThread = true
	}
	return nil
}

// identityOf describes a file of the container.
func identityOf(path string, st *unix.Stat_t) *format.FileIdentity {
	return &format.FileIdentity{
		Path:    path,
		Device:  deviceNumber(st.Dev),
		Inode:   st.Ino,
		Size:    uint64(st.Size),
		MtimeNs: st.Mtim.Nano(),
		Mode:    st.Mode,
		Rdev:    deviceNumber(st.Rdev),
	}
}

// deviceNumber is the image's form of a device number: major<<32 | minor.
func deviceNumber(dev uint64) uint64 {
	return uint64(unix.Major(dev))<<32 | uint64(unix.Minor(dev))
}
