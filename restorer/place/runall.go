package place

import "lxc-checkpoint/tracee"

// RunAll runs calls in a process, none of which may fail.
func RunAll(p Process, calls []tracee.Call) error {
	if err := p.Run(calls); err != nil {
		return err
	}
	for i := range calls {
		if err := calls[i].Err(); err != nil {
			return err
		}
	}
	return nil
}
