package tasks

import (
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/tracee"

	"golang.org/x/sys/unix"
)

// registers reads all registers, a system call in flight resolved: it will be
// issued again.
func registers(t *tracee.Thread, f *format.Task) error {
	sets, err := t.RegisterSets()
	if err != nil {
		return err
	}
	for _, s := range sets {
		if s.NoteType == unix.NT_PRSTATUS {
			r, err := t.Resolved()
			if err != nil {
				return err
			}
			if r.Interrupted {
				f.SystemCallPlusOne, f.RestartCode = uint32(r.Call+1), uint32(r.Code)
			}
			s.Data = r.Bytes()
		}
		f.Registers = append(f.Registers, &format.RegisterSet{NoteType: s.NoteType, Data: s.Data})
	}
	return nil
}
