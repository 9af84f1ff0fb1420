package fds

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/refusal"
)

// demand is how much a file must be the one of the checkpoint.
//
// Device and inode are not asked for: a root file system that was copied to
// another host has others, and is the same to the container. What counts:
//
//   - Every file has the type it had (a device: its number too).
//   - unchanged: what is executed or mapped has its size and time of
//     modification, or a program would find other code under its feet. A time
//     in whole seconds is accepted if the seconds are right, since tar keeps no
//     more.
//   - longEnough: what is merely open (logs, data) goes on changing while a
//     container runs on after its checkpoint, so a difference is logged, not
//     refused. But it must be as long as it was: a shorter one was emptied or
//     is another file, and the program would read or write at a position that
//     means nothing any more. Only a file that is open for nothing but
//     appending may be shorter, as a rotated log is.
type demand int

const (
	longEnough demand = iota
	unchanged
)

// check compares the file found with the one of the checkpoint.
func (r *Finder) check(id *format.FileIdentity, st *unix.Stat_t, flags int, want demand) error {
	refuse := func(how string) error {
		return &refusal.Refusal{
			Object: id.Path, Reason: fmt.Sprintf("it %s: it was %s, and is %s", how, describe(identityWas(id)), describe(identityIs(st))),
			Remedy: "put back the file that it was, with its times (cp -a, rsync -a), or restart with the root file system of the checkpoint, or, if the program can do with the changed one, with --allow-changed",
		}
	}
	was, is := identityWas(id), identityIs(st)
	switch {
	case was.mode&unix.S_IFMT != is.mode&unix.S_IFMT:
		return refuse("is another type of file than at the checkpoint")
	case isDevice(is.mode) && was.rdev != is.rdev:
		return refuse("is another device than at the checkpoint")
	case is.mode&unix.S_IFMT != unix.S_IFREG:
		return nil
	}
	sameTime := was.mtime == is.mtime || was.mtime/1e9 == is.mtime/1e9 && (was.mtime%1e9 == 0 || is.mtime%1e9 == 0)
	appends := flags&unix.O_ACCMODE == unix.O_WRONLY && flags&unix.O_APPEND != 0
	switch {
	case r.AllowChanged && (was.size != is.size || !sameTime):
		r.log.Warn("a file that the container uses has changed since the checkpoint", "path", id.Path, "was", describe(was), "is", describe(is))
	case want == unchanged && (was.size != is.size || !sameTime):
		return refuse("has changed since the checkpoint")
	case is.size < was.size && !appends && flags&unix.O_PATH == 0:
		return refuse("is shorter than at the checkpoint")
	case was.size != 0 && (was.size != is.size || !sameTime):
		r.log.Warn("a file that the container has open has changed since the checkpoint", "path", id.Path, "was", describe(was), "is", describe(is))
	}
	return nil
}

// identity is what is told of a file.
type identity struct {
	mode          uint32
	device, inode uint64 // device: major<<32 | minor
	rdev          uint64
	size          uint64 // bytes
	mtime         int64  // ns since 1970
}

func identityWas(id *format.FileIdentity) identity {
	return identity{mode: id.Mode, device: id.Device, inode: id.Inode, rdev: id.Rdev, size: id.Size, mtime: id.MtimeNs}
}

func identityIs(st *unix.Stat_t) identity {
	return identity{mode: st.Mode, device: deviceNumber(st.Dev), inode: st.Ino, rdev: deviceNumber(st.Rdev),
		size: uint64(st.Size), mtime: st.Mtim.Nano()}
}

// deviceNumber is the image's form of a device number: major<<32 | minor.
func deviceNumber(dev uint64) uint64 {
	return uint64(unix.Major(dev))<<32 | uint64(unix.Minor(dev))
}

func isDevice(mode uint32) bool {
	t := mode & unix.S_IFMT
	return t == unix.S_IFCHR || t == unix.S_IFBLK
}

func describe(i identity) string {
	on := fmt.Sprintf("inode %d on device %d:%d", i.inode, i.device>>32, uint32(i.device))
	switch i.mode & unix.S_IFMT {
	case unix.S_IFREG:
		return fmt.Sprintf("a regular file of %d bytes, modified %s, %s", i.size, time.Unix(0, i.mtime).UTC().Format(time.RFC3339Nano), on)
	case unix.S_IFCHR:
		return fmt.Sprintf("the character device %d:%d, %s", i.rdev>>32, uint32(i.rdev), on)
	case unix.S_IFBLK:
		return fmt.Sprintf("the block device %d:%d, %s", i.rdev>>32, uint32(i.rdev), on)
	case unix.S_IFDIR:
		return "a directory, " + on
	case unix.S_IFIFO:
		return "a FIFO, " + on
	case unix.S_IFSOCK:
		return "a socket, " + on
	case unix.S_IFLNK:
		return "a symbolic link, " + on
	}
	return fmt.Sprintf("a file of mode %#o, %s", i.mode, on)
}
