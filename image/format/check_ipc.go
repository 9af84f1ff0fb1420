package format

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// IPCSettings are the sysctls that each IPC namespace has of its own
// (ipc/ipc_sysctl.c, ipc/mq_sysctl.c), but for what does nothing (auto_msgmni)
// or is for a restart (shm_next_id).
var IPCSettings = []string{
	"kernel/msgmax", "kernel/msgmnb", "kernel/msgmni", "kernel/sem",
	"kernel/shmall", "kernel/shmmax", "kernel/shmmni", "kernel/shm_rmid_forced",
	"fs/mqueue/msg_default", "fs/mqueue/msg_max", "fs/mqueue/msgsize_default", "fs/mqueue/msgsize_max", "fs/mqueue/queues_max",
}

// What a POSIX message queue may have (include/linux/ipc_namespace.h,
// HARD_MSGMAX and HARD_MSGSIZEMAX; MQ_PRIO_MAX, include/uapi/linux/mqueue.h),
// and what of it this version takes.
const (
	mostMessages    = 65536
	mostMessageSize = 16 << 20
	mostPriority    = 32768
	// MaxQueued bounds the bytes of all messages in one queue.
	MaxQueued = 32 << 20
)

// ipc checks what lives in an IPC namespace.
func (c *checker) ipc(i *Ipc) error {
	for _, s := range i.GetSemaphores() {
		if err := sysv(s.Permissions); err != nil {
			return err
		}
		if n := len(s.Values); n == 0 || n > 1<<16 {
			return fmt.Errorf("semaphore set %d has %d semaphores", s.Permissions.Id, n)
		}
		for _, v := range s.Values {
			if v > 32767 { // SEMVMX
				return fmt.Errorf("semaphore set %d has the value %d", s.Permissions.Id, v)
			}
		}
	}
	for _, q := range i.GetQueues() {
		if err := sysv(q.Permissions); err != nil {
			return err
		}
		for _, m := range q.Messages {
			if m.Type < 1 {
				return fmt.Errorf("message queue %d has a message of type %d", q.Permissions.Id, m.Type)
			}
		}
	}
	for _, s := range i.GetSysctls() {
		if !slices.Contains(IPCSettings, s.Name) || s.Value == "" || len(s.Value) > 100 || strings.Trim(s.Value, "0123456789 \t") != "" {
			return fmt.Errorf("an IPC namespace has the setting %.40q = %.40q", s.Name, s.Value)
		}
	}
	return nil
}

// livesIn checks the IPC namespace of an object: it has to be the container's, else
// what a restart makes there would be the host's.
func (c *checker) livesIn(namespace uint32) error {
	if n := c.LivesIn(namespace); n == nil || !n.Own {
		return fmt.Errorf("it lives in namespace %d, which is no IPC namespace of the container's", namespace)
	}
	return nil
}

// messageQueues checks POSIX message queues, and whose the settings are that a
// restart makes.
func (c *checker) messageQueues() error {
	for _, n := range c.Namespaces {
		if n.Ipc != nil && !(n.Kind == NamespaceKind_IPC && n.Own) && (len(n.Ipc.Sysctls)+len(n.Ipc.Semaphores)+len(n.Ipc.Queues) > 0) {
			return fmt.Errorf("namespace %d has objects or settings of IPC and is no IPC namespace of the container's", n.Id)
		}
	}
	type name struct {
		namespace uint32
		text      string
	}
	names := map[name]bool{}
	for _, q := range c.MessageQueues {
		const maxName = 255
		if n := len(q.Name); n == 0 || n > maxName || bytes.ContainsAny(q.Name, "/\x00") || string(q.Name) == "." || string(q.Name) == ".." || q.Mode&^0o7777 != 0 {
			return fmt.Errorf("message queue %d has the name %.80q and mode %#o", q.Id, q.Name, q.Mode)
		}
		if err := c.livesIn(q.Namespace); err != nil {
			return fmt.Errorf("message queue %d: %w", q.Id, err)
		}
		its := name{c.LivesIn(q.Namespace).Id, string(q.Name)}
		if !q.Removed && names[its] {
			return fmt.Errorf("two message queues have the name %.80q", q.Name)
		}
		names[its] = names[its] || !q.Removed
		if q.MostMessages == 0 || q.MostMessages > mostMessages || q.MessageSize == 0 || q.MessageSize > mostMessageSize || len(q.Messages) > int(q.MostMessages) {
			return fmt.Errorf("message queue %d has %d messages, may have %d, each of %d bytes", q.Id, len(q.Messages), q.MostMessages, q.MessageSize)
		}
		sum := 0
		for i, m := range q.Messages {
			sum += len(m.Data)
			if m.Priority >= mostPriority || len(m.Data) > int(q.MessageSize) || i > 0 && m.Priority > q.Messages[i-1].Priority {
				return fmt.Errorf("message queue %d has a message of %d bytes with priority %d that can't be there", q.Id, len(m.Data), m.Priority)
			}
		}
		if sum > MaxQueued {
			return fmt.Errorf("message queue %d holds %d bytes", q.Id, sum)
		}
		if n := q.Notification; n != nil && (!c.hasTask(n.Pid) || n.Kind > 1 || n.Signal > 64) {
			return fmt.Errorf("message queue %d tells task %d of messages, by signal %d, kind %d", q.Id, n.Pid, n.Signal, n.Kind)
		}
	}
	return nil
}

func (c *checker) messageQueueFile(f *MessageQueueFile, who func() string) error {
	if err := c.want(f.GetQueue(), aMessageQueue, who); err != nil {
		return err
	}
	if f.Path == "" {
		return nil
	}
	if badPath(f.Path) {
		return fmt.Errorf("%s has a path that can't be: %.80q", who(), f.Path)
	}
	return c.mountNamespace(f.MountNamespace, who)
}

// MaxUndo is the largest adjustment of a semaphore that a restart makes again.
const MaxUndo = 16000

// undo checks what a process has to undo: in sets that are there.
func (c *checker) undo(p *Process) error {
	sizes := map[uint32]int{}
	if len(p.Undo) == 0 {
		return nil
	}
	for _, s := range c.IPCNamespaceOf(p.Namespaces).GetIpc().GetSemaphores() {
		sizes[s.Permissions.Id] = len(s.Values)
	}
	for _, u := range p.Undo {
		if n := len(u.Adjustments); n == 0 || n > sizes[u.Set] || n > 32 {
			return fmt.Errorf("process %d has to undo %d semaphores of set %d, which has %d", p.Pid, n, u.Set, sizes[u.Set])
		}
		for _, a := range u.Adjustments {
			if a > MaxUndo || a < -MaxUndo {
				return fmt.Errorf("process %d has to add %d to a semaphore", p.Pid, a)
			}
		}
	}
	return nil
}
