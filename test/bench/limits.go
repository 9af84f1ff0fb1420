package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"lxc-checkpoint/test/harness"
)

// limits are what the machine needs, with as many threads as it has cores, for
// each thing that a checkpoint and a restart can't do without: for the bytes
// that are in the memory of one container, and for its tasks and objects.
type limits struct {
	Bytes      int64 // of memory
	Compressed int64

	Memcpy  time.Duration // copy them
	Read    time.Duration // process_vm_readv
	Zstd    time.Duration // compress them, level "fastest"
	Write   time.Duration // write them compressed, and fdatasync
	Unzstd  time.Duration // decompress them
	Fresh   time.Duration // copy them to memory that is not there yet
	Ptrace  time.Duration // stop every task, read its registers, let it go
	Procfs  time.Duration // read what /proc tells of processes, tasks, mappings and descriptors
	Threads int           // how many worked
}

// printLimits is a process of its own, which goes when it is done.
func printLimits(cgroup, dir string) error {
	pids := (&harness.Cgroup{Dir: cgroup}).Processes()
	l := &limits{Threads: runtime.NumCPU()}
	for _, measure := range []func() error{
		func() error { return l.bytes(pids, dir) },
		func() error { return l.tasks(pids) },
		func() (err error) { l.Procfs, err = timed(func() error { return readProc(pids) }); return err },
	} {
		if err := measure(); err != nil {
			return err
		}
	}
	return json.NewEncoder(os.Stdout).Encode(l)
}

func timed(f func() error) (time.Duration, error) {
	begin := time.Now()
	err := f()
	return time.Since(begin), err
}

// room is what compressing may add to a batch, in bytes.
const room = 4 << 10

// bytes measures with the container's bytes. Big memory is populated before,
// except where that is what is measured.
func (l *limits) bytes(pids []int, dir string) error {
	batches, err := findPages(pids)
	if err != nil {
		return err
	}
	var size int
	for _, b := range batches {
		b.at, size = size, size+b.size
	}
	l.Bytes = int64(size)
	plain, err1 := memory(size, unix.MAP_POPULATE)
	packed, err2 := memory(size+room*len(batches), unix.MAP_POPULATE)
	fresh, err3 := memory(size, 0)
	encoder, err4 := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(l.Threads), zstd.WithWindowSize(batchSize))
	decoder, err5 := zstd.NewReader(nil, zstd.WithDecoderConcurrency(l.Threads))
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return err
	}
	content := func(b *batch) []byte { return plain[b.at : b.at+b.size] }
	if _, err := each(batches, func(b *batch, _ []byte) error { return b.read(content(b)) }); err != nil {
		return err
	}
	for _, m := range []struct {
		took *time.Duration
		do   func(b *batch, buffer []byte) error
	}{
		{&l.Memcpy, func(b *batch, buffer []byte) error { copy(buffer, content(b)); return nil }},
		{&l.Read, func(b *batch, buffer []byte) error { return b.read(buffer[:b.size]) }},
		{&l.Zstd, func(b *batch, _ []byte) error {
			at := b.at + room*b.number
			b.packed = encoder.EncodeAll(content(b), packed[at:at:at+b.size+room])
			return nil
		}},
		{&l.Unzstd, func(b *batch, buffer []byte) error { _, err := decoder.DecodeAll(b.packed, buffer[:0]); return err }},
		{&l.Fresh, func(b *batch, _ []byte) error { copy(fresh[b.at:], content(b)); return nil }},
	} {
		if *m.took, err = each(batches, m.do); err != nil {
			return err
		}
	}
	l.Write, err = timed(func() error { return l.write(batches, dir) })
	return err
}

// write writes what was compressed to a file until it is durable.
func (l *limits) write(batches []*batch, dir string) error {
	f, err := os.CreateTemp(dir, "write-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	for _, b := range batches {
		if _, err := f.Write(b.packed); err != nil {
			return err
		}
		l.Compressed += int64(len(b.packed))
	}
	return unix.Fdatasync(int(f.Fd()))
}

// each does something with every batch, on all cores, and says how long that
// took. Each of its goroutines has a buffer for the largest batch.
func each(batches []*batch, do func(b *batch, buffer []byte) error) (time.Duration, error) {
	var next atomic.Int64
	var group sync.WaitGroup
	errs := make([]error, runtime.NumCPU())
	ready := make(chan struct{})
	for i := range errs {
		buffer, err := memory(batchSize, unix.MAP_POPULATE)
		if err != nil {
			return 0, err
		}
		defer unix.Munmap(buffer)
		group.Go(func() {
			<-ready
			for {
				n := int(next.Add(1)) - 1
				if n >= len(batches) || errs[i] != nil {
					return
				}
				errs[i] = do(batches[n], buffer)
			}
		})
	}
	begin := time.Now()
	close(ready)
	group.Wait()
	return time.Since(begin), errors.Join(errs...)
}

// read is one process_vm_readv(2).
func (b *batch) read(to []byte) error {
	if b.shared {
		return b.readFile(to)
	}
	local := []unix.Iovec{{Base: unsafe.SliceData(to)}}
	local[0].SetLen(b.size)
	n, err := unix.ProcessVMReadv(b.pid, local, b.pieces, 0)
	if err == nil && n != b.size {
		err = unix.EFAULT
	}
	return os.NewSyscallError("process_vm_readv", err)
}

// readFile reads pages that several processes share since a fork:
// process_vm_readv(2) would give this one a copy of its own.
func (b *batch) readFile(to []byte) error {
	f, err := os.Open(fmt.Sprintf("/proc/%d/mem", b.pid))
	if err != nil {
		return err
	}
	defer f.Close()
	for _, p := range b.pieces {
		if _, err := f.ReadAt(to[:p.Len], int64(p.Base)); err != nil {
			return err
		}
		to = to[p.Len:]
	}
	return nil
}
