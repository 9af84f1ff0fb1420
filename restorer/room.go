package restorer

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/refusal"
)

// room is how much memory the host's kernel grants to programs.
type room struct {
	overcommit int // vm.overcommit_memory
	mappings   int // vm.max_map_count
	memory     procfs.MemInfo
}

// Values of vm.overcommit_memory (Documentation/mm/overcommit-accounting.rst).
const (
	overcommitGuess = 0 // no mapping larger than all memory and swap
	overcommitNever = 2 // all mappings together not more than CommitLimit
)

func hostRoom() (room, error) {
	var r room
	for name, value := range map[string]*int{"overcommit_memory": &r.overcommit, "max_map_count": &r.mappings} {
		text, err := procfs.ReadFile("/proc/sys/vm/" + name)
		if err != nil {
			return r, err
		}
		if *value, err = strconv.Atoi(strings.TrimSpace(string(text))); err != nil {
			return r, fmt.Errorf("vm.%s: %w", name, err)
		}
	}
	var err error
	r.memory, err = procfs.ReadMemInfo()
	return r, err
}

// check says what of an image's mappings the kernel would refuse for certain.
func (r *room) check(s *format.Skeleton) error {
	var all uint64
	for _, mm := range s.Mms {
		if n := countedMappings(mm); n > r.mappings {
			return &refusal.Refusal{
				Object: owner(s, mm), Reason: fmt.Sprintf("it has %d mappings, and this host's kernel lets a process have %d", n, r.mappings),
				Remedy: fmt.Sprintf("raise that (sysctl vm.max_map_count=%d) and restart again", n+100),
			}
		}
		for _, v := range mm.Vmas {
			if !r.accounts(v) {
				continue
			}
			size := v.End - v.Start
			if all += size; all < size {
				all = math.MaxUint64
			}
			if most := r.memory.Total + r.memory.SwapTotal; r.overcommit == overcommitGuess && size > most {
				return &refusal.Refusal{
					Object: owner(s, mm),
					Reason: fmt.Sprintf("it has a mapping of %d MiB at %#x, and this host's kernel grants none of more than its memory and swap, %d MiB (vm.overcommit_memory is 0)", size>>20, v.Start, most>>20),
					Remedy: "add swap, or have it grant any (sysctl vm.overcommit_memory=1), and restart again",
				}
			}
		}
	}
	if r.overcommit != overcommitNever {
		return nil
	}
	left := uint64(0)
	if r.memory.CommitLimit > r.memory.Committed {
		left = r.memory.CommitLimit - r.memory.Committed
	}
	if all > left {
		return &refusal.Refusal{
			Object: "memory",
			Reason: fmt.Sprintf("the container's programs may write %d MiB of memory of their own, and this host's kernel has %d MiB left to grant, of %d (vm.overcommit_memory is 2)", all>>20, left>>20, r.memory.CommitLimit>>20),
			Remedy: "add swap, raise vm.overcommit_ratio, or have it grant more than there is (sysctl vm.overcommit_memory=0), and restart again",
		}
	}
	return nil
}

// accounts tells whether the kernel counts a mapping as memory that it has
// granted (accountable_mapping, mm/vma.c). Shared memory is left out.
func (r *room) accounts(v *format.Vma) bool {
	switch v.Kind {
	case format.VmaKind_VMA_ANONYMOUS, format.VmaKind_VMA_FILE_PRIVATE:
	default:
		return false
	}
	if v.Droppable || v.NoReserve && r.overcommit != overcommitNever {
		return false
	}
	return v.Prot&unix.PROT_WRITE != 0 && v.HugePageSize == 0
}

// countedMappings are those that vm.max_map_count counts.
func countedMappings(mm *format.Mm) int {
	n := 0
	for _, v := range mm.Vmas {
		if v.Kind != format.VmaKind_VMA_VSYSCALL {
			n++
		}
	}
	return n
}

// owner names a process that has an address space.
func owner(s *format.Skeleton, mm *format.Mm) string {
	for _, p := range s.Processes {
		if p.Mm == mm.Id && p.State != format.ProcessState_ZOMBIE {
			return fmt.Sprintf("process %d (%s)", p.Pid, name(p))
		}
	}
	return fmt.Sprintf("address space %d", mm.Id)
}
