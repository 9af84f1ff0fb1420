package fds

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
)

// makeFIFOEnd opens a FIFO by its path.
//
// The first of its ends opens it for reading and writing, which never blocks
// (fifo(7)), and keeps that until all ends are there; meanwhile the others can
// be opened as they were, and content can be written even if no writer is left.
func makeFIFOEnd(_ context.Context, r *Restart, f *file) (int, error) {
	end := f.GetFifo()
	if f.Flags&unix.O_PATH != 0 { // no end at all
		return r.OpenData(end.GetFile(), int(f.Flags))
	}
	p := r.pipes[end.GetPipe()]
	if p == nil {
		return -1, fmt.Errorf("the image has no pipe %d", end.GetPipe())
	}
	if !p.begun && !r.quiet(p) {
		keep, err := r.openFIFO(p, end.GetFile(), unix.O_RDWR)
		if err != nil {
			return -1, err
		}
		p.keep = keep
		if err := p.fill(keep); err != nil {
			return -1, err
		}
	}
	fd, err := r.openFIFO(p, end.GetFile(), int(f.Flags))
	if err != nil {
		return -1, err
	}
	if err := p.resize(fd); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return withFlags(fd, f.Flags)
}

// openFIFO opens the FIFO without blocking. The first time it makes sure that
// nobody else uses it.
func (r *Restart) openFIFO(p *pipe, id *format.FileIdentity, flags int) (int, error) {
	if id.GetMode()&unix.S_IFMT != unix.S_IFIFO {
		return -1, fmt.Errorf("the image has a FIFO %s, which is %s", id.GetPath(), describe(identityWas(id)))
	}
	fd, err := r.OpenData(id, flags|unix.O_NONBLOCK)
	if err != nil || p.begun {
		return fd, err
	}
	p.begun = true
	n, err := unix.IoctlGetInt(fd, unix.TIOCINQ) // FIONREAD
	if err == nil && n > 0 {
		err = fmt.Errorf("%s already holds %d bytes, so another process has it open: end that, so that its bytes do not mix with the container's", id.Path, n)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// quiet says whether a FIFO has to be opened before it ever had a writer.
//
// poll(2) reports POLLHUP on a FIFO without writers, unless its reader was
// opened without blocking and no writer has come since (pipe_poll and fifo_open,
// fs/pipe.c). The image does not tell the two; a reader that does not block,
// of an empty FIFO that nobody has open for writing, is taken for one that
// waits for its first writer, as daemons do: one that had been told of the hang
// up would have opened it again.
func (r *Restart) quiet(p *pipe) bool {
	if len(p.Data) > 0 {
		return false
	}
	for _, f := range r.files {
		if f.GetFifo().GetPipe() != p.Id {
			continue
		}
		if f.Flags&unix.O_ACCMODE != unix.O_RDONLY || f.Flags&unix.O_NONBLOCK == 0 {
			return false
		}
	}
	return true
}
