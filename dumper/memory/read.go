package memory

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// worker moves batches; it belongs to one goroutine.
type worker struct {
	to     PageWriter
	buffer []byte
	pieces []extent
	local  []unix.Iovec
	remote []unix.RemoteIovec
	counts Counts
	// The file that was read last: /proc/PID/mem or a link to shared memory.
	name string
	file *os.File
}

func (k *worker) close() {
	if k.file != nil {
		k.file.Close()
	}
	//lint:ignore SA6002 one small allocation for 1 MiB
	buffers.Put(k.buffer)
}

// move reads a batch and writes it; it returns how many bytes it has read.
func (k *worker) move(b *batch) (int, error) {
	n, err := k.read(b)
	if err != nil {
		return 0, err
	}
	k.counts.BytesRead += uint64(n)
	data := k.buffer[:n]
	for _, p := range b.pieces {
		if err := k.write(b.source, p, data[:p.length]); err != nil {
			return 0, err
		}
		data = data[p.length:]
	}
	return n, nil
}

// write writes a piece without its pages of zeros.
func (k *worker) write(s *source, p extent, data []byte) error {
	if p.how&keepZeros != 0 {
		k.count(s, p.how, uint64(len(data)))
		return k.to.Pages(s.owner, p.start, 0, data)
	}
	for at := 0; at < len(data); {
		from := at
		for at < len(data) && !isZero(data[at:at+int(pageSize)]) {
			at += int(pageSize)
		}
		if at > from {
			k.count(s, p.how, uint64(at-from))
			if err := k.to.Pages(s.owner, p.start+uint64(from), 0, data[from:at]); err != nil {
				return err
			}
		}
		for at < len(data) && isZero(data[at:at+int(pageSize)]) {
			at += int(pageSize)
			k.counts.Zero++
		}
	}
	return nil
}

func (k *worker) count(s *source, h how, bytes uint64) {
	n := bytes / pageSize
	switch {
	case s.shared != "" || s.ours != nil:
		k.counts.Shared += n
	case h&huge != 0:
		k.counts.Huge += n
	case h&ofFile != 0:
		k.counts.File += n
	default:
		k.counts.Anonymous += n
	}
}

var zeroPage = make([]byte, pageSize)

func isZero(page []byte) bool {
	// Most pages that are not zero show it at once.
	if binary.NativeEndian.Uint64(page) != 0 {
		return false
	}
	return bytes.Equal(page, zeroPage)
}

// read fills the buffer with all pieces of a batch, one behind the other.
func (k *worker) read(b *batch) (int, error) {
	total := 0
	for _, p := range b.pieces {
		total += int(p.length)
	}
	if b.source.ours != nil {
		into := k.buffer
		for _, p := range b.pieces {
			into = into[copy(into, b.source.ours[p.start:p.start+p.length]):]
		}
		return total, nil
	}
	done := 0
	if b.source.shared == "" && b.pieces[0].how&byFile == 0 {
		var err error
		if done, err = k.readMemory(b, total); err != nil {
			return 0, err
		}
		if done == total {
			return total, nil
		}
	}
	// What the call could not read: pages that the program may not read
	// itself, and shared memory, which is read like a file.
	at := 0
	for _, p := range b.pieces {
		from := max(at, done)
		if end := at + int(p.length); from < end {
			if err := k.readFile(b.source, p.start+uint64(from-at), k.buffer[from:end]); err != nil {
				return 0, err
			}
		}
		at += int(p.length)
	}
	return total, nil
}

// readMemory is process_vm_readv(2) with one buffer for all pieces. It returns
// how many bytes came before the first that could not be read.
func (k *worker) readMemory(b *batch, total int) (int, error) {
	k.remote = k.remote[:0]
	for _, p := range b.pieces {
		k.remote = append(k.remote, unix.RemoteIovec{Base: uintptr(p.start), Len: int(p.length)})
	}
	k.local = append(k.local[:0], unix.Iovec{Base: unsafe.SliceData(k.buffer)})
	k.local[0].SetLen(total)
	n, err := unix.ProcessVMReadv(b.source.pid, k.local, k.remote, 0)
	switch {
	case errors.Is(err, unix.ESRCH):
		return 0, goneError(b.source)
	case err != nil:
		return 0, nil // the other way tells why
	}
	return n, nil
}

// readFile reads at an address of a process, or an offset of shared memory.
func (k *worker) readFile(s *source, at uint64, data []byte) error {
	name := s.shared
	if name == "" {
		name = fmt.Sprintf("/proc/%d/mem", s.pid)
	}
	if k.name != name {
		flags := os.O_RDONLY
		if s.shared != "" {
			flags |= unix.O_NOATIME
		}
		f, err := os.OpenFile(name, flags, 0)
		if errors.Is(err, os.ErrNotExist) {
			return goneError(s)
		}
		if err != nil {
			return err
		}
		if k.file != nil {
			k.file.Close()
		}
		k.name, k.file = name, f
	}
	n, err := io.ReadFull(io.NewSectionReader(k.file, int64(at), int64(len(data))), data)
	switch {
	case err == nil:
		return nil
	case s.shared != "" && errors.Is(err, io.ErrUnexpectedEOF):
		clear(data[n:]) // behind the end of a size that is no multiple of pages
		return nil
	case errors.Is(err, io.EOF):
		return goneError(s)
	}
	return fmt.Errorf("the page at %#x of host's process %d can't be read: %w", at+uint64(n)&^(pageSize-1), s.pid, err)
}

// goneError: a stopped process has no memory any more if it was killed.
func goneError(s *source) error {
	return fmt.Errorf("host's process %d has been killed while its memory was read", s.pid)
}
