package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/procfs"
)

// A batch is what one call reads of one process. Its bounds are those of the
// checkpoint's own calls (dumper/memory).
const (
	batchSize = 1 << 20 // bytes
	maxPieces = 256
)

type batch struct {
	number int
	pid    int
	shared bool // with other processes, since a fork
	pieces []unix.RemoteIovec
	size   int    // bytes
	at     int    // where they are among those of all batches
	packed []byte // compressed
}

// finder collects pages to batches.
type finder struct {
	batches []*batch
	page    int
	seen    map[uint64]bool // shared pages: their numbers in memory or swap
}

// findPages finds the pages of processes that are in no file, and may be read;
// those that processes share since a fork once.
func findPages(pids []int) ([]*batch, error) {
	f := &finder{page: os.Getpagesize(), seen: map[uint64]bool{}}
	for _, pid := range pids {
		if err := f.process(pid); err != nil {
			return nil, err
		}
	}
	return f.batches, nil
}

func (f *finder) process(pid int) error {
	vmas, err := procfs.ReadMaps(pid)
	if err != nil {
		return err
	}
	pagemap, err := os.Open(fmt.Sprintf("/proc/%d/pagemap", pid))
	if err != nil {
		return err
	}
	defer pagemap.Close()
	for _, v := range vmas {
		if v.Shared || v.Prot&unix.PROT_READ == 0 || strings.HasPrefix(v.Path, "[v") { // vdso, vvar …
			continue
		}
		entries := make([]byte, (v.End-v.Start)/uint64(f.page)*8)
		if _, err := pagemap.ReadAt(entries, int64(v.Start)/int64(f.page)*8); err != nil {
			return err
		}
		for i := 0; i < len(entries); i += 8 {
			// Bits of Documentation/admin-guide/mm/pagemap.rst.
			const present, swapped, ofFile, exclusive, number = 1 << 63, 1 << 62, 1 << 61, 1 << 56, 1<<55 - 1
			e := binary.NativeEndian.Uint64(entries[i:])
			if e&(present|swapped) == 0 || e&ofFile != 0 {
				continue
			}
			shared := e&exclusive == 0
			if shared {
				page := e & (number | swapped)
				if f.seen[page] {
					continue
				}
				f.seen[page] = true
			}
			f.add(pid, uintptr(v.Start)+uintptr(i/8*f.page), shared)
		}
	}
	return nil
}

// add adds a page to the last batch, or to a new one.
func (f *finder) add(pid int, address uintptr, shared bool) {
	var b *batch
	if n := len(f.batches); n > 0 {
		b = f.batches[n-1]
	}
	full := b == nil || b.pid != pid || b.shared != shared || b.size == batchSize
	if !full {
		if last := &b.pieces[len(b.pieces)-1]; last.Base+uintptr(last.Len) == address {
			last.Len, b.size = last.Len+f.page, b.size+f.page
			return
		}
		full = len(b.pieces) == maxPieces
	}
	if full {
		b = &batch{number: len(f.batches), pid: pid, shared: shared}
		f.batches = append(f.batches, b)
	}
	b.pieces = append(b.pieces, unix.RemoteIovec{Base: address, Len: f.page})
	b.size += f.page
}
