package main

import (
	"fmt"
	"io"
	"io/fs"
)

// archive writes the format that the kernel unpacks at its start: cpio, newc
// (Documentation/driver-api/early-userspace/buffer-format.rst). It remembers
// the first error for close.
type archive struct {
	w     io.Writer
	inode int
	err   error
}

// Types of files in c_mode.
const (
	cpioFile      = 0o100000
	cpioDirectory = 0o040000
	cpioLink      = 0o120000
	cpioCharacter = 0o020000
)

func (a *archive) file(name string, perm fs.FileMode, content []byte) {
	a.entry(name, cpioFile|uint32(perm.Perm()), 0, 0, content)
}

func (a *archive) directory(name string) { a.entry(name, cpioDirectory|0o755, 0, 0, nil) }

func (a *archive) link(name, target string) {
	a.entry(name, cpioLink|0o777, 0, 0, []byte(target))
}

func (a *archive) device(name string, major, minor int) {
	a.entry(name, cpioCharacter|0o600, major, minor, nil)
}

func (a *archive) close() error {
	a.entry("TRAILER!!!", 0, 0, 0, nil)
	return a.err
}

func (a *archive) entry(name string, mode uint32, major, minor int, content []byte) {
	a.inode++
	const uid, gid, links, mtime, devMajor, devMinor, check = 0, 0, 1, 0, 0, 0, 0
	a.write(fmt.Appendf(nil, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%s\x00",
		a.inode, mode, uid, gid, links, mtime, len(content), devMajor, devMinor, major, minor, len(name)+1, check, name))
	a.write(content)
}

// write pads to a multiple of four, as headers and contents are.
func (a *archive) write(b []byte) {
	for _, part := range [][]byte{b, make([]byte, -len(b)&3)} {
		if a.err == nil {
			_, a.err = a.w.Write(part)
		}
	}
}
