package fds

import (
	"lxc-checkpoint/image/format"
)

// lookMemory refers to an inode that has no path: a memfd, a removed file.
func lookMemory(_ *walk, f *file) error {
	if o := f.object.Obstacle; o != nil {
		return f.refuse(o.Kind, o.Reason, o.Remedy)
	}
	f.Kind = &format.OpenFile_Memory{Memory: &format.MemoryFile{SharedMemory: f.object.Message.Id}}
	return nil
}
