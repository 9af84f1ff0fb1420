package format

import (
	"fmt"
	"math"
)

// MaxWatch is the highest descriptor of an inotify watch that an image may
// have: a restart has to count up to it.
const MaxWatch = 1 << 20

// eventSource checks a descriptor that tells of something.
func (c *checker) eventSource(o *OpenFile, who func() string) error {
	switch k := o.Kind.(type) {
	case *OpenFile_Timerfd:
		if t := k.Timerfd; t.GetValueNs() > math.MaxInt64 || t.GetIntervalNs() > math.MaxInt64 {
			return fmt.Errorf("%s is a timer of %d ns every %d ns", who(), t.GetValueNs(), t.GetIntervalNs())
		}
	case *OpenFile_Inotify:
		last := uint32(0)
		for _, w := range k.Inotify.GetWatches() {
			if w.Wd <= last || w.Wd > MaxWatch {
				return fmt.Errorf("%s has watch %d out of order", who(), w.Wd)
			}
			last = w.Wd
			if w.File == nil {
				continue // gone
			}
			if err := c.file(w.File, who); err != nil {
				return err
			}
		}
	case *OpenFile_Fanotify:
		return c.fanotify(k.Fanotify, who)
	case *OpenFile_Pidfd:
		pid := k.Pidfd.GetPid()
		if pid != 0 && !c.hasTask(pid) {
			return fmt.Errorf("%s is a pidfd of task %d, which the image does not have", who(), pid)
		}
	}
	return nil
}

// hasTask tells whether the image has a task, alive or a zombie.
func (c *checker) hasTask(tid uint32) bool {
	if c.tids == nil {
		c.tids = map[uint32]bool{}
		for _, p := range c.Processes {
			c.tids[p.Pid] = true
			for _, t := range p.Tasks {
				c.tids[t.Tid] = true
			}
		}
	}
	return c.tids[tid]
}
