package fds

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/internal/sys"
)

// Sizes of what io_uring_register(2) takes (include/uapi/linux/io_uring.h).
const (
	rsrcRegisterSize = 32 // struct io_uring_rsrc_register
	rsrcUpdateSize   = 32 // struct io_uring_rsrc_update2
	bufferRegSize    = 40 // struct io_uring_buf_reg
	bufferSize       = 16 // struct io_uring_buf
)

// words appends numbers to bytes: 4 bytes of a uint32, 8 of a uint64.
func words(b []byte, list ...any) []byte {
	for _, v := range list {
		switch v := v.(type) {
		case uint16:
			b = binary.NativeEndian.AppendUint16(b, v)
		case uint32:
			b = binary.NativeEndian.AppendUint32(b, v)
		case uint64:
			b = binary.NativeEndian.AppendUint64(b, v)
		}
	}
	return b
}

// do has the owner make one call of io_uring_register(2) with an argument in its
// memory.
func (u *uring) do(op uint64, argument []byte, n uint64) error {
	addr, _ := u.owner.Scratch()
	if err := u.owner.Write(addr, argument); err != nil {
		return err
	}
	_, err := u.owner.Call(unix.SYS_IO_URING_REGISTER, uint64(u.fd), op, addr, n)
	return err
}

// register registers what was registered.
func (u *uring) register() error {
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"buffers", u.registerBuffers},
		{"files", u.registerFiles},
		{"eventfd", u.registerEvent},
		{"clock", u.registerClock},
		{"descriptors of itself", u.registerRingFDs},
	} {
		if err := step.do(); err != nil {
			return fmt.Errorf("register its %s: %w", step.what, err)
		}
	}
	return nil
}

// table registers a table of n places, and fills those that something is in, of
// which each gives its bytes and its tag.
func (u *uring) table(register, update uint64, n int, each func(i int) (entry []byte, tag uint64, ok bool)) error {
	const sparse, atOnce = 1, 512
	if n == 0 {
		return nil
	}
	if err := u.do(register, words(nil, uint32(n), uint32(sparse), uint64(0), uint64(0), uint64(0)), rsrcRegisterSize); err != nil {
		return err
	}
	var data, tags []byte
	first, count := 0, uint32(0)
	flush := func() error {
		if count == 0 {
			return nil
		}
		addr, _ := u.owner.Scratch()
		at := addr + rsrcUpdateSize
		b := words(nil, uint32(first), uint32(0), at+uint64(len(tags)), at, count, uint32(0))
		err := u.do(update, append(append(b, tags...), data...), rsrcUpdateSize)
		data, tags, count = nil, nil, 0
		return err
	}
	for i := range n {
		entry, tag, ok := each(i)
		if !ok || count == atOnce {
			if err := flush(); err != nil {
				return err
			}
		}
		if !ok {
			continue
		}
		if count == 0 {
			first = i
		}
		data, tags, count = append(data, entry...), words(tags, tag), count+1
	}
	return flush()
}

const (
	updateFiles   = 14 // IORING_REGISTER_FILES_UPDATE2
	updateBuffers = 16 // IORING_REGISTER_BUFFERS_UPDATE
)

func (u *uring) registerBuffers() error {
	return u.table(sys.UringRegisterBuffers2, updateBuffers, len(u.Buffers), func(i int) ([]byte, uint64, bool) {
		b := u.Buffers[i]
		return words(nil, b.Start, b.Length), b.Tag, b.Length != 0
	})
}

func (u *uring) registerFiles() error {
	var ids []uint32
	for _, f := range u.Files {
		if f.OpenFile != 0 {
			ids = append(ids, f.OpenFile)
		}
	}
	there, done, err := u.r.lend(u.owner, ids)
	if err != nil {
		return err
	}
	defer done()
	return u.table(sys.UringRegisterFiles2, updateFiles, len(u.Files), func(i int) ([]byte, uint64, bool) {
		f := u.Files[i]
		return words(nil, uint32(there[f.OpenFile])), f.Tag, f.OpenFile != 0
	})
}

func (u *uring) registerEvent() error {
	if u.Event == nil {
		return nil
	}
	there, done, err := u.r.lend(u.owner, []uint32{u.Event.OpenFile})
	if err != nil {
		return err
	}
	defer done()
	op := uint64(sys.UringRegisterEventfd)
	if u.Event.Async {
		op = sys.UringRegisterEventfdAsync
	}
	return u.do(op, words(nil, uint32(there[u.Event.OpenFile])), 1)
}

func (u *uring) registerClock() error {
	if u.Clock == unix.CLOCK_MONOTONIC || u.Clock == unix.CLOCK_REALTIME { // the latter: not told
		return nil
	}
	return u.do(sys.UringRegisterClock, words(nil, uint32(u.Clock), uint32(0), uint64(0), uint32(0)), 0)
}

// registerRingFDs registers descriptors of the ring, each for its thread.
func (u *uring) registerRingFDs() error {
	for _, user := range u.Users {
		t, err := u.r.thread(user.Task)
		if err != nil {
			return err
		}
		there, done, err := u.r.lend(t, []uint32{u.file.Id})
		if err != nil {
			return err
		}
		number := uint64(there[u.file.Id])
		addr, _ := t.Scratch()
		if err := t.Write(addr, words(nil, user.Index, uint32(0), number)); err != nil {
			return err
		}
		if _, err := t.Call(unix.SYS_IO_URING_REGISTER, number, sys.UringRegisterRingFDs, addr, 1); err != nil {
			return err
		}
		done()
	}
	return nil
}

// bufferSteps is how many requests takeBuffers issues.
func (u *uring) bufferSteps() uint32 { return format.IoUringBufferSteps(u.IoUring) }

// takeBuffers registers the rings of buffers, and has the kernel take as many as
// it had: it counts those by itself, too.
func (u *uring) takeBuffers() error {
	for _, b := range u.BufferRings {
		if err := u.bufferRing(b); err != nil {
			return fmt.Errorf("register its ring of buffers %d: %w", b.Group, err)
		}
	}
	return nil
}

func (u *uring) bufferRing(b *format.IoUringBufferRing) (err error) {
	reg := words(nil, b.Start, b.Entries, uint16(b.Group), uint16(b.Flags), uint64(0), uint64(0), uint64(0))
	if err := u.do(sys.UringRegisterBufferRing, reg, 1); err != nil {
		return err
	}
	size := int(b.Entries) * bufferSize
	read := func(into []byte) error { return u.owner.Read(b.Start, into) }
	write := func(from []byte) error { return u.owner.Write(b.Start, from) }
	if b.Start == 0 {
		page := os.Getpagesize()
		offset := sys.UringOffBuffers | int64(b.Group)<<sys.UringBufferBits
		m, err := unix.Mmap(u.file.fd, offset, (size+page-1)&^(page-1), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			return fmt.Errorf("map it: %w", err)
		}
		defer func() { _ = unix.Munmap(m) }()
		read = func(into []byte) error { copy(into, b.Ring); return nil }
		write = func(from []byte) error { copy(m, from); return nil }
	}
	before := make([]byte, size)
	if err := read(before); err != nil {
		return err
	}
	if b.Head > 0 {
		if err := u.take(b, size, write); err != nil {
			return fmt.Errorf("have %d of them taken: %w", b.Head, err)
		}
	}
	return write(before)
}

// CanTakeBuffers tells whether this kernel lets one request take many buffers.
func CanTakeBuffers() bool {
	major, minor, err := procfs.KernelVersion()
	return err == nil && (major > 6 || major == 6 && minor >= 10)
}

// take receives bytes into buffers of one byte, as many as were taken, from a pair
// of sockets. In between the ring is full of buffers in the restart's own memory.
func (u *uring) take(b *format.IoUringBufferRing, size int, write func([]byte) error) (err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(pair[1])
	there, err := u.owner.Send([]int{pair[0]})
	unix.Close(pair[0])
	if err != nil {
		return err
	}
	addr, _ := u.owner.Scratch()
	full := make([]byte, 0, size)
	for range b.Entries {
		full = words(full, addr, uint32(1), uint32(0))
	}
	const tail = 14 // of struct io_uring_buf_ring
	length := uint32(0)
	request := func(e []byte) {
		const bundle = 1 << 4 // IORING_RECVSEND_BUNDLE, Linux 6.10
		e[0], e[1] = sys.UringOpRecv, sys.SQEBufferSelect|sys.SQESkipSuccess
		binary.NativeEndian.PutUint16(e[2:], bundle)
		binary.NativeEndian.PutUint32(e[4:], uint32(there[0]))
		binary.NativeEndian.PutUint32(e[24:], length)
		binary.NativeEndian.PutUint16(e[40:], uint16(b.Group))
	}
	for done := uint32(0); done < b.Head; {
		n := min(b.Head-done, format.IoUringBuffersAtOnce(b))
		done += n
		binary.NativeEndian.PutUint16(full[tail:], uint16(done&math.MaxUint16))
		if err := write(full); err != nil {
			return err
		}
		if _, err := unix.Write(pair[1], make([]byte, n)); err != nil {
			return err
		}
		length = n
		u.fill(request)
		u.setWord(u.params.SQ.Tail, u.word(u.params.SQ.Head)+1)
		if err := u.enter(1); err != nil {
			return err
		}
	}
	if _, err := u.owner.Call(unix.SYS_CLOSE, uint64(there[0])); err != nil {
		return err
	}
	return u.checkHead(b)
}

// checkHead asks how many buffers the kernel has taken.
func (u *uring) checkHead(b *format.IoUringBufferRing) error {
	const status, size, head = 26, 40, 4 // IORING_REGISTER_PBUF_STATUS, Linux 6.8; of struct io_uring_buf_status
	if err := u.do(status, append(words(nil, b.Group), make([]byte, size-4)...), 1); err != nil {
		return err
	}
	addr, _ := u.owner.Scratch()
	got := make([]byte, 4)
	if err := u.owner.Read(addr+head, got); err != nil {
		return err
	}
	if n := binary.NativeEndian.Uint32(got); n != b.Head {
		return fmt.Errorf("%d were taken", n)
	}
	return nil
}

// enter has the owner submit n requests.
func (u *uring) enter(n uint32) error {
	done, err := u.owner.Call(unix.SYS_IO_URING_ENTER, uint64(u.fd), uint64(n))
	if err == nil && uint32(done) != n {
		err = fmt.Errorf("%d of %d requests were taken", done, n)
	}
	return err
}

// mapRings maps the rings where programs had them, and those of packet sockets.
func (r *Restart) mapRings() error {
	if r.Space == nil {
		return nil
	}
	for _, mm := range r.skeleton.Mms {
		vmas := slices.DeleteFunc(slices.Clone(mm.Vmas), func(v *format.Vma) bool {
			return v.Kind != format.VmaKind_VMA_IO_URING && v.Kind != format.VmaKind_VMA_PACKET_RING
		})
		if len(vmas) == 0 {
			continue
		}
		if err := r.mapRingsOf(r.Space(mm.Id), vmas); err != nil {
			return err
		}
	}
	return nil
}
