package dumper

import (
	"slices"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/dumper/queues"
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/refusal"
)

// lookAtQueues looks at the POSIX message queues that have names; those that have
// none any more are found by their descriptors.
func (l *looking) lookAtQueues() (*queues.Looker, error) {
	looker := &queues.Looker{IDs: l.ids, Namespaces: map[uint64]uint32{}, Kernel: l.kernelMemory(), Tasks: l.numbers()}
	for _, f := range l.told {
		looker.Task = f.Address
	}
	for _, q := range l.world.Queues {
		looker.Namespaces[q.Device] = q.Namespace
		for _, name := range q.Names {
			if err := looker.Named(int(q.Directory.Fd()), name); err != nil {
				return nil, err
			}
		}
	}
	return looker, nil
}

// checkQueues refuses who is told of messages (mq_notify(3)) and has no descriptor
// of the queue, by which a restart could register him: a process with whom he shares
// his table has closed it.
func (l *looking) checkQueues() {
	for _, q := range l.skeleton.MessageQueues {
		n := q.Notification
		if n == nil {
			continue
		}
		p := l.skeleton.Process(n.Pid)
		has := func(d *format.Descriptor) bool {
			o := l.skeleton.OpenFile(d.OpenFile)
			return o.GetMessageQueue().GetQueue() == q.Id && o.Flags&unix.O_PATH == 0
		}
		if p != nil && len(p.Tasks) > 0 && slices.ContainsFunc(l.skeleton.FilesByID(p.Tasks[0].Files).GetDescriptors(), has) {
			continue
		}
		l.refuse(refusal.List{{
			PID: int(n.Pid), Object: "/" + string(q.Name), Kind: queues.Kind,
			Reason: "it is told of messages (mq_notify) and has no descriptor of the queue any more, by which a restart could register it",
			Remedy: "end the process before the checkpoint",
		}})
	}
}
