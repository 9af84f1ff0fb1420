package fds

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/dumper/queues"
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/refusal"
)

func isMessageQueue(f *file) bool {
	return queues.Is(fmt.Sprintf("/proc/%d/fd/%d", f.PID, f.number), &f.stat)
}

// lookMessageQueue looks at the queue, if nobody has yet. One that mq_open(3) has
// opened is on no mount of the container.
func lookMessageQueue(w *walk, f *file) error {
	path := strings.TrimSuffix(f.link, " (deleted)")
	q, err := w.Queues.Of(filepath.Base(path), &f.stat, func(flags int) (int, error) {
		return unix.Open(fmt.Sprintf("/proc/%d/fd/%d", f.PID, f.number), flags, 0)
	})
	var refused *refusal.Refusal
	if errors.As(err, &refused) {
		return f.refuse(queues.Kind, refused.Reason, refused.Remedy)
	}
	if err != nil {
		return err
	}
	m := &format.MessageQueueFile{Queue: q.Id}
	_, nested := w.rootOf(f)
	if w.mounts[f.info.MountID] || nested != 0 {
		m.Path, m.MountNamespace = path, nested
	}
	f.Kind = &format.OpenFile_MessageQueue{MessageQueue: m}
	return nil
}
