package kernel

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// pages says where a page lies in the kernel's map of all memory, from the address
// of its struct page: step bytes of the one are a page of the other.
type pages struct {
	known          bool
	err            error
	first, virtual uint64 // struct page of the first page, and where that lies
	step, size     uint64
}

// address is where a page lies.
func (p *pages) address(page uint64) uint64 { return p.virtual + (page-p.first)/p.step*p.size }

// pagesAt finds out how that is here, and tries it: on a page of a pipe of ours,
// whose content we know.
func (m *Memory) pagesAt(page uint64) (uint64, error) {
	if !m.pages.known {
		m.pages.known = true
		m.pages.err = m.findPages()
	}
	if m.pages.err != nil {
		return 0, fmt.Errorf("find out where pages lie: %w", m.pages.err)
	}
	return m.pages.address(page), nil
}

func (m *Memory) findPages() error {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return err
	}
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	known := make([]byte, 64)
	if _, err := unix.Getrandom(known, 0); err != nil {
		return err
	}
	if _, err := unix.Write(fds[1], known); err != nil {
		return err
	}
	task, err := m.ourselves()
	if err != nil {
		return err
	}
	file, err := m.file(task, uint32(fds[0]))
	if err != nil {
		return err
	}
	page, err := m.pointer(file, "file", "private_data", "pipe_inode_info", "bufs", "pipe_buffer", "page")
	if err != nil {
		return err
	}
	size, err := m.Size("page")
	if err != nil {
		return err
	}
	got := make([]byte, len(known))
	for _, layout := range layouts {
		c := layout(m)
		c.step, c.size, c.known = uint64(size), uint64(os.Getpagesize()), true
		if m.Read(c.address(page), got) == nil && string(got) == string(known) {
			m.pages = c
			return nil
		}
	}
	return errors.New("this kernel lays memory out in a way that is not known")
}
