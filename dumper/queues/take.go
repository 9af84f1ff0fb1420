package queues

import (
	"errors"
	"fmt"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"
)

// take reads a queue's messages where there is no eBPF: it receives all of them and
// sends them again, in the order in which they came. The programs, which are
// stopped, can't tell. Nobody is registered by mq_notify(3): he would be told.
func take(fd, n, size int) (all []*format.QueuedMessage, err error) {
	defer func() { err = errors.Join(err, putBack(fd, all)) }()
	buffer := make([]byte, max(size, 1))
	for range n {
		got, priority, err := sys.MqReceive(fd, buffer)
		if err != nil {
			return all, fmt.Errorf("receive a message: %w", err)
		}
		all = append(all, &format.QueuedMessage{Priority: priority, Data: append([]byte(nil), buffer[:got]...)})
	}
	return all, nil
}

// putBack fails only if somebody from outside has sent meanwhile, and filled the
// queue.
func putBack(fd int, all []*format.QueuedMessage) error {
	for i, m := range all {
		if err := sys.MqSend(fd, m.Data, m.Priority); err != nil {
			return fmt.Errorf("put %d messages back: %w", len(all)-i, err)
		}
	}
	return nil
}
