package elfcore

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
)

// fileSet opens the files that a process has mapped.
type fileSet struct {
	root    int // descriptor of the directory that is the container's root
	lost    map[string]bool
	missing func(path, why string) // told once for each that is not there
}

func newFileSet(root string, missing func(path, why string)) (*fileSet, error) {
	fd, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("%s, the container's root, cannot be opened: %w", root, err)
	}
	return &fileSet{root: fd, lost: map[string]bool{}, missing: missing}, nil
}

func (s *fileSet) close() { _ = unix.Close(s.root) }

// open opens a file of the container if it is still the one that was mapped;
// else it returns nil.
func (s *fileSet) open(id *format.FileIdentity) *os.File {
	if s.lost[id.Path] {
		return nil
	}
	f, err := s.look(id)
	if err != nil {
		s.lost[id.Path] = true
		s.missing(id.Path, err.Error())
		return nil
	}
	return f
}

func (s *fileSet) look(id *format.FileIdentity) (*os.File, error) {
	fd, err := unix.Openat2(s.root, id.Path, &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_NOCTTY,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), id.Path)
	st, err := f.Stat()
	switch {
	case err != nil:
	case !st.Mode().IsRegular():
		err = errors.New("it is no regular file")
	case uint64(st.Size()) != id.Size || id.MtimeNs != 0 && st.ModTime().Unix() != id.MtimeNs/1e9:
		err = errors.New("it has changed since the checkpoint")
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// copyFile puts a mapping's part of its file into the core.
func copyFile(core *os.File, r *region, f *os.File) error {
	buf := make([]byte, 1<<20)
	for at := uint64(0); at < r.End-r.Start; {
		n, err := f.ReadAt(buf[:min(uint64(len(buf)), r.End-r.Start-at)], int64(r.Offset+at))
		if err := writeSparse(core, buf[:n], r.offset+int64(at)); err != nil {
			return err
		}
		at += uint64(n)
		if errors.Is(err, io.EOF) { // what is behind a file's end reads as zeros
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", f.Name(), err)
		}
	}
	return nil
}

// writeSparse writes, but leaves holes for blocks of zeros.
func writeSparse(core *os.File, b []byte, offset int64) error {
	const block = 4096
	for len(b) > 0 {
		n := 0
		for n < len(b) && isZero(b[n:min(n+block, len(b))]) {
			n = min(n+block, len(b))
		}
		b, offset = b[n:], offset+int64(n)
		n = 0
		for n < len(b) && !isZero(b[n:min(n+block, len(b))]) {
			n = min(n+block, len(b))
		}
		if _, err := core.WriteAt(b[:n], offset); err != nil {
			return err
		}
		b, offset = b[n:], offset+int64(n)
	}
	return nil
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
