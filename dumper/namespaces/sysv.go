package namespaces

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/dumper/view"
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"
	"lxc-checkpoint/refusal"
)

// sysvFields reads /proc/sysvipc/KIND of the IPC namespace that the thread is
// in (sysvipc(7)): a line for each object, after one of headings. number tells
// the value below a heading.
func sysvFields(kind string, each func(number func(heading string) int64) error) error {
	text, err := os.ReadFile("/proc/sysvipc/" + kind)
	if errors.Is(err, os.ErrNotExist) {
		return nil // a kernel without CONFIG_SYSVIPC
	}
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	column := map[string]int{}
	for i, h := range strings.Fields(lines[0]) {
		column[h] = i
	}
	for _, line := range lines[1:] {
		fields := strings.Fields(line)
		var bad error
		number := func(heading string) int64 {
			i, ok := column[heading]
			base := 10
			if heading == "perms" {
				base = 8
			}
			if ok && i < len(fields) {
				if n, err := strconv.ParseInt(fields[i], base, 64); err == nil {
					return n
				}
			}
			bad = fmt.Errorf("a line of /proc/sysvipc/%s is not as sysvipc(7) has it: %q", kind, line)
			return 0
		}
		if err := errors.Join(each(number), bad); err != nil {
			return err
		}
	}
	return nil
}

func permissions(number func(string) int64, id string) *format.SysvPermissions {
	return &format.SysvPermissions{
		Id: uint32(number(id)), Key: int32(number("key")), Mode: uint32(number("perms")) & 0o777,
		Uid: uint32(number("uid")), Gid: uint32(number("gid")),
		CreatorUid: uint32(number("cuid")), CreatorGid: uint32(number("cgid")),
	}
}

// segments lists shared memory; its bytes are the room's of memory.
func segments(res *Result, n *object) error {
	if res.Segments == nil {
		res.Segments = map[view.SegmentKey]*view.Segment{}
	}
	fleeting, err := forcedRemoval()
	if err != nil {
		return err
	}
	return sysvFields("shm", func(number func(string) int64) error {
		const destroyed, locked = 0o1000, 0o2000 // SHM_DEST, SHM_LOCKED, include/linux/shm.h
		s := &format.SysvSegment{Permissions: permissions(number, "shmid"), Namespace: n.living()}
		s.Removed, s.Locked = number("perms")&destroyed != 0, number("perms")&locked != 0
		id := s.Permissions.Id
		if fleeting && number("nattch") == 0 {
			res.refused = append(res.refused, &refusal.Refusal{
				Object: fmt.Sprintf("segment %d", id), Kind: "System V shared memory",
				Reason: "nobody has attached it, and with kernel.shm_rmid_forced = 1 the kernel would remove it if a checkpoint attached it to look at it",
				Remedy: "have a program attach it or remove it, or set kernel.shm_rmid_forced to 0 in the container",
			})
			return nil
		}
		res.Segments[view.SegmentKey{Namespace: n.living(), ID: id}] = &view.Segment{
			Message: s, Size: uint64(number("size")),
			Open: func() (*os.File, error) { return openSegment(n, id) },
		}
		return nil
	})
}

// forcedRemoval says whether segments go with the last who detaches them
// (shm_may_destroy, ipc/shm.c), in the IPC namespace that the thread is in.
func forcedRemoval() (bool, error) {
	text, err := os.ReadFile("/proc/sys/kernel/shm_rmid_forced")
	if errors.Is(err, os.ErrNotExist) {
		return false, nil // a kernel without CONFIG_SYSVIPC
	}
	return strings.TrimSpace(string(text)) == "1", err
}

// openSegment opens the memory of a segment that nobody has attached. It has to
// be attached for a moment, the only way to it: the kernel notes the time.
func openSegment(n *object, id uint32) (f *os.File, err error) {
	err = n.inside(func() error {
		m, err := unix.SysvShmAttach(int(id), 0, unix.SHM_RDONLY)
		if err != nil {
			return os.NewSyscallError("shmat", err)
		}
		defer func() { _ = unix.SysvShmDetach(m) }()
		f, err = sys.OpenMapping(m)
		return err
	})
	return f, err
}

// semaphores lists sets of semaphores with their values. Root may read all.
func semaphores(ipc *format.Ipc) error {
	return sysvFields("sem", func(number func(string) int64) error {
		s := &format.SysvSemaphores{Permissions: permissions(number, "semid")}
		values, err := sys.SemGetAll(int(s.Permissions.Id), int(number("nsems")))
		if err != nil {
			return fmt.Errorf("the System V semaphores %d: %w", s.Permissions.Id, err)
		}
		for _, v := range values {
			s.Values = append(s.Values, uint32(v))
		}
		ipc.Semaphores = append(ipc.Semaphores, s)
		return nil
	})
}

// sysvQueues lists message queues with copies of their messages (MSG_COPY of
// msgrcv(2), which takes and notes nothing).
func sysvQueues(ipc *format.Ipc) error {
	return sysvFields("msg", func(number func(string) int64) error {
		q := &format.SysvQueue{Permissions: permissions(number, "msqid")}
		id := int(q.Permissions.Id)
		var err error
		if q.Capacity, err = sys.MsgCapacity(id); err != nil {
			return fmt.Errorf("the System V message queue %d: %w", id, err)
		}
		buffer := make([]byte, 8+number("cbytes"))
		for i := range int(number("qnum")) {
			kind, data, err := sys.MsgCopy(id, i, buffer)
			if err != nil {
				return fmt.Errorf("the System V message queue %d, message %d (the kernel needs CONFIG_CHECKPOINT_RESTORE): %w", id, i, err)
			}
			q.Messages = append(q.Messages, &format.SysvMessage{Type: kind, Data: append([]byte(nil), data...)})
		}
		ipc.Queues = append(ipc.Queues, q)
		return nil
	})
}
