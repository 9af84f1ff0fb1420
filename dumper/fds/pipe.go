package fds

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/refusal"
)

// pipe is a pipe or FIFO and the ends of it that the container has open.
type pipe struct {
	*format.Pipe
	readers, writers []*file
	fifo             bool
}

func lookPipe(w *walk, f *file) error {
	if w.isExternal(f) {
		return lookExternal(f, 0)
	}
	p := w.pipeOf(f)
	f.Kind = &format.OpenFile_Pipe{Pipe: &format.PipeEnd{Pipe: p.Id}}
	return nil
}

func lookFIFO(w *walk, f *file) error {
	id, err := w.locate(f)
	if err != nil {
		return err
	}
	end := &format.PipeEnd{File: id}
	if f.OpenFile.Flags&unix.O_PATH == 0 {
		p := w.pipeOf(f)
		p.fifo = true
		end.Pipe = p.Id
	}
	f.Kind = &format.OpenFile_Fifo{Fifo: end}
	return nil
}

// pipeOf finds the pipe that a file is an end of.
func (w *walk) pipeOf(f *file) *pipe {
	key := inode{f.stat.Dev, f.stat.Ino}
	p := w.pipes[key]
	if p == nil {
		p = &pipe{Pipe: &format.Pipe{Id: w.IDs.Next()}}
		w.pipes[key] = p
		w.order = append(w.order, p)
	}
	switch f.access() {
	case unix.O_RDONLY:
		p.readers = append(p.readers, f)
	case unix.O_WRONLY:
		p.writers = append(p.writers, f)
	default:
		p.readers, p.writers = append(p.readers, f), append(p.writers, f)
	}
	return p
}

// lookAtPipes saves what lies in the pipes, once their ends are known.
func (w *walk) lookAtPipes() ([]*format.Pipe, refusal.List, error) {
	var all []*format.Pipe
	var refused refusal.List
	for _, p := range w.order {
		end := append(append([]*file(nil), p.readers...), p.writers...)[0]
		err := p.look(end)
		end.closeCopy()
		var r *refusal.Refusal
		switch {
		case errors.As(err, &r):
			refused = append(refused, r)
		case err != nil:
			return nil, nil, end.wrap(err)
		}
		all = append(all, p.Pipe)
	}
	return all, refused, nil
}

func (p *pipe) look(end *file) error {
	fd, err := end.copy()
	if err != nil {
		return err
	}
	if err := p.checkInside(end, fd); err != nil {
		return err
	}
	size, err := unix.FcntlInt(uintptr(fd), unix.F_GETPIPE_SZ, 0)
	if err != nil {
		return err
	}
	p.Capacity = uint32(size)
	if len(p.readers) == 0 {
		return nil // nobody will ever read what is in it
	}
	packets := false
	for _, w := range p.writers {
		packets = packets || w.OpenFile.Flags&unix.O_DIRECT != 0
	}
	return p.tee(fd, size, packets)
}

// checkInside refuses a pipe whose other end is open outside the container.
// With one kind of end missing in the container, poll(2) tells whether anybody
// has it: POLLHUP on a reader without writers, POLLERR on a writer without
// readers. A FIFO's reader that never had a writer has no POLLHUP either
// (fifo_open, fs/pipe.c): taken for that.
func (p *pipe) checkInside(end *file, fd int) error {
	if len(p.readers) > 0 && len(p.writers) > 0 {
		return nil
	}
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN | unix.POLLOUT}}
	for {
		if _, err := unix.Poll(poll, 0); err == nil {
			break
		} else if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
	switch {
	case len(p.writers) == 0 && (p.fifo || poll[0].Revents&unix.POLLHUP != 0):
		return nil
	case len(p.readers) == 0 && poll[0].Revents&unix.POLLERR != 0:
		return nil
	}
	const others = "start the container so that nothing outside is connected to it (lxc-start -d), or end the process"
	if p.fifo {
		return end.refuse(end.link, "the other end of this pipe is open outside the container", others)
	}
	return end.refuse(end.link, "the other end of this pipe is open outside the container", asExternal(end, others))
}

// tee copies the content into a pipe of ours without consuming it (tee(2)), and
// reads it there.
func (p *pipe) tee(fd, size int, packets bool) error {
	var own [2]int
	if err := unix.Pipe2(own[:], unix.O_CLOEXEC|unix.O_NONBLOCK|packetFlag(packets)); err != nil {
		return err
	}
	defer unix.Close(own[0])
	defer unix.Close(own[1])
	if _, err := unix.FcntlInt(uintptr(own[1]), unix.F_SETPIPE_SZ, size); err != nil {
		return fmt.Errorf("make a pipe of %d bytes to copy it (over fs.pipe-max-size this needs CAP_SYS_RESOURCE): %w", size, err)
	}
	n, err := unix.Tee(fd, own[1], size, unix.SPLICE_F_NONBLOCK)
	if errors.Is(err, unix.EAGAIN) || err == nil && n == 0 {
		return nil // empty
	}
	if err != nil {
		return fmt.Errorf("copy its content: %w", err)
	}
	buf := make([]byte, n)
	for {
		n, err := unix.Read(own[0], buf)
		if errors.Is(err, unix.EAGAIN) || n == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		p.Data = append(p.Data, buf[:n]...)
		if packets {
			p.Packets = append(p.Packets, uint32(n))
		}
	}
}

func packetFlag(packets bool) int {
	if packets {
		return unix.O_DIRECT
	}
	return 0
}
