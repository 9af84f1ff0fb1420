package restorer

import (
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
)

// share is what a child has in common with its maker, as flags of clone(2).
func (t *treePlanner) share(c *format.Process, by uint32) uint64 {
	b := t.Skeleton.Process(by)
	if b == nil || b.State == format.ProcessState_ZOMBIE || c.State == format.ProcessState_ZOMBIE {
		return 0
	}
	var flags uint64
	if c.Mm == b.Mm {
		flags |= unix.CLONE_VM
	}
	if c.Sighand == b.Sighand {
		flags |= unix.CLONE_SIGHAND
	}
	if c.Tasks[0].Files == b.Tasks[0].Files {
		flags |= unix.CLONE_FILES
	}
	if c.Tasks[0].Fs == b.Tasks[0].Fs {
		flags |= unix.CLONE_FS
	}
	return flags
}

// checkSharing refuses objects that are shared between processes in a way that
// no order of forks gives.
func (p *Plan) checkSharing() error {
	forked := map[uint32]Step{}
	for _, s := range p.Steps {
		if s.Kind == Fork {
			forked[s.PID] = s
		}
	}
	first := map[uint32]uint32{} // object → the process that has it of its own
	claim := func(proc *format.Process, what string, id uint32, flag uint64) error {
		if s, ok := forked[proc.Pid]; id == 0 || ok && s.Share&flag != 0 {
			return nil
		}
		if other, taken := first[id]; taken {
			return fmt.Errorf("processes %d and %d (%s) share their %s though neither made the other: such a pair can't be restarted yet", other, proc.Pid, name(proc), what)
		}
		first[id] = proc.Pid
		return nil
	}
	for _, proc := range p.Skeleton.Processes {
		if proc.State == format.ProcessState_ZOMBIE {
			continue
		}
		lead := proc.Tasks[0]
		for _, c := range []struct {
			what string
			id   uint32
			flag uint64
		}{
			{"memory", proc.Mm, unix.CLONE_VM},
			{"signal handlers", proc.Sighand, unix.CLONE_SIGHAND},
			{"descriptor table", lead.Files, unix.CLONE_FILES},
			{"root and working directory", lead.Fs, unix.CLONE_FS},
		} {
			if err := claim(proc, c.what, c.id, c.flag); err != nil {
				return err
			}
		}
		for _, k := range proc.Tasks[1:] {
			if k.Files != lead.Files {
				if err := claim(proc, fmt.Sprintf("descriptor table (of thread %d)", k.Tid), k.Files, 0); err != nil {
					return err
				}
			}
			if k.Fs != lead.Fs {
				if err := claim(proc, fmt.Sprintf("root and working directory (of thread %d)", k.Tid), k.Fs, 0); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
