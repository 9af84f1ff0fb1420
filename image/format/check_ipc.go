package format

import "fmt"

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
	return nil
}

// MaxUndo is the largest adjustment of a semaphore that a restart makes again.
const MaxUndo = 16000

// undo checks what a process has to undo: in sets that are there.
func (c *checker) undo(p *Process) error {
	sizes := map[uint32]int{}
	if len(p.Undo) == 0 {
		return nil
	}
	for _, n := range c.Namespaces {
		for _, s := range n.Ipc.GetSemaphores() {
			sizes[s.Permissions.Id] = len(s.Values)
		}
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
