package fds

import (
	"errors"
	"strconv"

	"lxc-checkpoint/image/format"
)

// lookSignalfd reads the mask from fdinfo (signalfd_show_fdinfo, fs/signalfd.c).
// What it would deliver is pending with the processes, not here.
func lookSignalfd(_ *walk, f *file) error {
	text, ok := f.info.Get("sigmask")
	if !ok {
		return errors.New("the kernel does not tell the signalfd's mask")
	}
	mask, err := strconv.ParseUint(text, 16, 64)
	f.Kind = &format.OpenFile_Signalfd{Signalfd: &format.Signalfd{Mask: mask}}
	return err
}
