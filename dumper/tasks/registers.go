package tasks

import (
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/tracee"

	"golang.org/x/sys/unix"
)

// registers reads all registers, a system call in flight resolved: it will be
// issued again. known is its number, 0 if only the registers can tell.
func registers(t *tracee.Thread, f *format.Task, known uint32) error {
	sets, err := t.RegisterSets()
	if err != nil {
		return err
	}
	for _, s := range sets {
		if s.NoteType == unix.NT_PRSTATUS {
			r, err := t.Resolved(known)
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
