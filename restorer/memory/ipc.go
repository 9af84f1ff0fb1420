package memory

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"
)

// makeIPC makes what lives in the container's IPC namespaces, but for memory.
func (b *Backing) makeIPC(s *format.Skeleton) error {
	for _, n := range s.Namespaces {
		if len(n.Ipc.GetSemaphores()) == 0 && len(n.Ipc.GetQueues()) == 0 {
			continue
		}
		err := b.ipc.In(n.Id, func() error {
			for _, m := range n.Ipc.Semaphores {
				if err := makeSemaphores(m); err != nil {
					return fmt.Errorf("make System V semaphores %d: %w", m.Permissions.Id, err)
				}
			}
			for _, m := range n.Ipc.Queues {
				if err := makeQueue(m); err != nil {
					return fmt.Errorf("make System V message queue %d: %w", m.Permissions.Id, err)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// sysvObject makes an object with the number and the creator that it had.
func sysvObject(kind string, p *format.SysvPermissions, get func(key, flags int) (int, error)) error {
	if err := nextID(kind, p.Id); err != nil {
		return err
	}
	var id int
	err := asCreator(p, false, func() (err error) {
		id, err = get(int(p.Key), int(p.Mode)|unix.IPC_CREAT|unix.IPC_EXCL)
		return err
	})
	if err == nil && uint32(id) != p.Id {
		err = fmt.Errorf("it got number %d", id)
	}
	return err
}

func ipcPerm(p *format.SysvPermissions) (d unix.SysvIpcPerm) {
	d.Uid, d.Gid, d.Mode = p.Uid, p.Gid, p.Mode
	return d
}

func makeSemaphores(m *format.SysvSemaphores) error {
	id := int(m.Permissions.Id)
	err := sysvObject("sem", m.Permissions, func(key, flags int) (int, error) { return sys.SemGet(key, len(m.Values), flags) })
	if err != nil {
		return err
	}
	values := make([]uint16, len(m.Values))
	for i, v := range m.Values {
		values[i] = uint16(v)
	}
	return errors.Join(sys.SemSetAll(id, values), sys.SemSet(id, ipcPerm(m.Permissions)))
}

func makeQueue(m *format.SysvQueue) error {
	id := int(m.Permissions.Id)
	if err := sysvObject("msg", m.Permissions, sys.MsgGet); err != nil {
		return err
	}
	// A queue may hold more than its capacity, which was lowered since.
	held := uint32(0)
	for _, message := range m.Messages {
		held += uint32(len(message.Data))
	}
	if err := sys.MsgSet(id, ipcPerm(m.Permissions), max(m.Capacity, held, uint32(len(m.Messages)))); err != nil {
		return err
	}
	for _, message := range m.Messages {
		if err := sys.MsgSend(id, message.Type, message.Data); err != nil {
			return fmt.Errorf("queue a message of %d bytes: %w", len(message.Data), err)
		}
	}
	return sys.MsgSet(id, ipcPerm(m.Permissions), m.Capacity)
}
