package tracee

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Space remembers what Remote found out about an address space, so that
// threads that share one look only once: a system call instruction and a place
// for arguments. What it remembers is checked before use, so a Space that is
// out of date costs time, not correctness.
type Space struct {
	site    uint64 // of a system call instruction; 0: not known
	scratch area
}

// area is a part of an address space.
type area struct{ start, end uint64 }

func (a area) size() uint64 { return a.end - a.start }

// Share says that the threads share an address space.
func Share(threads ...*Thread) {
	s := new(Space)
	for _, t := range threads {
		t.space = s
	}
}

// site finds a system call instruction: the one the thread has just executed,
// the one found before, one of the vdso, or any in executable memory.
func (t *Thread) site(mem *os.File, r *Registers) (uint64, error) {
	for _, a := range []uint64{r.PC() - syscallSize, r.PC(), t.space.site} {
		if a == 0 || a%syscallStep != 0 || !r.usable(a) {
			continue
		}
		b := make([]byte, syscallSize)
		if _, err := mem.ReadAt(b, int64(a)); err == nil && bytes.Equal(b, syscallInstruction) {
			t.space.site = a
			return a, nil
		}
	}
	if a, ok := vdso(t.tid); ok {
		if site, ok := search(mem, area{a, a + vdsoSize}, r.usable); ok {
			t.space.site = site
			return site, nil
		}
	}
	var site uint64
	err := eachMapping(t.tid, func(a area, perms, name string) bool {
		if perms[2] != 'x' || name == "[vsyscall]" {
			return true
		}
		s, ok := search(mem, a, r.usable)
		if ok {
			site = s
		}
		return !ok
	})
	if err != nil {
		return 0, err
	}
	if site == 0 {
		return 0, fmt.Errorf("task %d: %w", t.tid, errNoSite)
	}
	t.space.site = site
	return site, nil
}

var errNoSite = errors.New("no executable mapping of it holds a system call instruction")

// CanCall says whether the stopped thread can be made to make system calls.
func (t *Thread) CanCall() (bool, error) {
	r, err := t.Registers()
	if err != nil {
		return false, err
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", t.tid))
	if err != nil {
		return false, err
	}
	defer mem.Close()
	_, err = t.site(mem, &r)
	if errors.Is(err, errNoSite) {
		return false, nil
	}
	return err == nil, err
}

// vdsoSize is enough for the vdso's text of any kernel, in bytes; the read
// stops where the mapping does.
const vdsoSize = 16 << 10

// vdso returns the address of the vdso as the auxiliary vector has it.
func vdso(tid int) (uint64, bool) {
	const atSysinfoEhdr = 33
	auxv, err := os.ReadFile(fmt.Sprintf("/proc/%d/auxv", tid))
	if err != nil {
		return 0, false
	}
	for ; len(auxv) >= 16; auxv = auxv[16:] {
		if binary.LittleEndian.Uint64(auxv) == atSysinfoEhdr {
			return binary.LittleEndian.Uint64(auxv[8:]), true
		}
	}
	return 0, false
}

// search looks for a usable system call instruction in part of a memory.
func search(mem *os.File, in area, usable func(addr uint64) bool) (uint64, bool) {
	const chunk = 64 << 10
	buf := make([]byte, chunk)
	for at := in.start; at < in.end; at += chunk - syscallSize + syscallStep {
		n, _ := mem.ReadAt(buf[:min(chunk, in.end-at)], int64(at))
		for i := 0; i+syscallSize <= n; i += syscallStep {
			if bytes.Equal(buf[i:i+syscallSize], syscallInstruction) && usable(at+uint64(i)) {
				return at + uint64(i), true
			}
		}
		if n < chunk {
			break
		}
	}
	return 0, false
}

// findScratch finds size bytes of private writable memory: below the thread's
// stack pointer if there is room, else anywhere.
func (t *Thread) findScratch(sp uint64, size int) (area, error) {
	const align = 64
	want := uint64(size)
	below := area{end: (sp - redZone) &^ (align - 1)}
	below.start = (below.end - want) &^ (align - 1)
	if below.end > sp || below.start > below.end {
		below = area{}
	}
	var found area
	err := eachMapping(t.tid, func(a area, perms, name string) bool {
		if !strings.HasPrefix(perms, "rw") || perms[3] != 'p' {
			return true
		}
		if below.end != 0 && a.start <= below.start && below.end <= a.end {
			found = below
			return false
		}
		if found.end == 0 && a.size() >= want && !strings.HasPrefix(name, "/") {
			found.start = (a.end - want) &^ (align - 1)
			found.end = found.start + want
		}
		return true
	})
	if err != nil {
		return area{}, err
	}
	if found.end == 0 {
		return area{}, fmt.Errorf("task %d: no private writable mapping of it has %d bytes for the arguments of a system call", t.tid, size)
	}
	return found, nil
}

// eachMapping calls fn for every line of /proc/TID/maps until it returns false.
func eachMapping(tid int, fn func(a area, perms, name string) bool) error {
	f, err := os.Open(fmt.Sprintf("/proc/%d/maps", tid))
	if err != nil {
		return fmt.Errorf("read the mappings of task %d: %w", tid, err)
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	s.Buffer(make([]byte, 16<<10), 1<<20)
	for s.Scan() {
		bounds, rest, ok := strings.Cut(s.Text(), " ")
		from, to, ok2 := strings.Cut(bounds, "-")
		start, err1 := strconv.ParseUint(from, 16, 64)
		end, err2 := strconv.ParseUint(to, 16, 64)
		if !ok || !ok2 || err1 != nil || err2 != nil || len(rest) < 4 {
			return fmt.Errorf("mappings of task %d: line %q makes no sense", tid, s.Text())
		}
		name := ""
		if f := strings.Fields(rest); len(f) >= 5 {
			name = f[4]
		}
		if !fn(area{start, end}, rest[:4], name) {
			return nil
		}
	}
	if err := s.Err(); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("read the mappings of task %d: %w", tid, err)
	}
	return nil
}
