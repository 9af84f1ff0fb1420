package dumper

import (
	"errors"
	"fmt"
	"time"

	"lxc-checkpoint/dumper/kernel"
	"lxc-checkpoint/refusal"
)

// lookAtAio finds the contexts of io_setup(2) of each address space, and waits a
// little for what is under way in them: reads and writes of disks end by themselves,
// and may be told of by an eventfd. So it comes before descriptors and memory.
func (l *looking) lookAtAio() error {
	deadline := time.Now().Add(min(l.o.Timeout, time.Second))
	for _, s := range l.spaces {
		for {
			contexts, err := l.aioContexts(s.PID)
			if err != nil {
				l.aioUnknown = err
				return nil
			}
			busy := 0
			for _, c := range contexts {
				busy += c.UnderWay
			}
			if busy > 0 && time.Now().Before(deadline) && l.ctx.Err() == nil {
				time.Sleep(5 * time.Millisecond)
				continue
			}
			if busy > 0 {
				l.refuse(refusal.List{{
					PID: s.NSPID, Command: s.Command, Kind: "asynchronous I/O",
					Passing: true,
					Reason:  fmt.Sprintf("%d requests of io_submit(2) are under way, and don't end soon", busy),
					Remedy:  "checkpoint again when they have completed; a request that waits for an event (IOCB_CMD_POLL) the program has to cancel",
				}})
			}
			l.aio[s.ID] = contexts
			break
		}
	}
	return nil
}

// aioContexts are those of a task's address space. Only the kernel's memory tells
// of them.
func (l *looking) aioContexts(pid int) ([]kernel.AioContext, error) {
	known := l.told[pid]
	if known == nil || known.Address == 0 {
		return nil, errors.New("there is no eBPF")
	}
	if !known.Aio {
		return nil, nil // what reads the kernel's memory takes its time to load
	}
	k, err := l.kernelMemory()()
	if err != nil {
		return nil, err
	}
	return kernel.New(k, known.Address).AioContexts(known.Address)
}
