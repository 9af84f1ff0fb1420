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
