package dumper

import (
	"encoding/binary"
	"slices"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/dumper/ptrace"
	"lxc-checkpoint/image/format"
)

// endings are the threads at whose end the kernel may write into a file of the
// container's, see ptrace.Ending.
func (l *looking) endings() (list []ptrace.Ending) {
	for i, p := range l.held.Processes() {
		if p.Zombie {
			continue
		}
		found := l.found[i]
		mm := l.skeleton.Mm(found.Mm)
		if mm == nil || !slices.ContainsFunc(mm.Vmas, isWrittenFile) {
			continue
		}
		ended := len(found.Tasks) - len(p.Threads) // 1: the leader has
		for n, t := range p.Threads {
			k := found.Tasks[ended+n]
			e := ptrace.Ending{Thread: t, RobustLength: k.RobustListLength}
			if slices.ContainsFunc(mm.Vmas, func(v *format.Vma) bool {
				return isWrittenFile(v) && v.Start <= k.ClearChildTid && k.ClearChildTid < v.End
			}) {
				e.ClearTID = k.ClearChildTid
			}
			if holdsRobust(t.TID(), k.RobustList) {
				e.RobustList = k.RobustList
			}
			if e.ClearTID != 0 || e.RobustList != 0 {
				list = append(list, e)
			}
		}
	}
	return list
}

func isWrittenFile(v *format.Vma) bool {
	return v.Kind == format.VmaKind_VMA_FILE_SHARED && v.Prot&unix.PROT_WRITE != 0
}

// holdsRobust says whether there is something in a thread's list of robust futexes,
// whose head is a ring of one if there is not.
func holdsRobust(tid int, head uint64) bool {
	if head == 0 {
		return false
	}
	var b [8]byte
	here := []unix.Iovec{{Base: &b[0], Len: uint64(len(b))}}
	n, err := unix.ProcessVMReadv(tid, here, []unix.RemoteIovec{{Base: uintptr(head), Len: len(b)}}, 0)
	return err == nil && n == len(b) && binary.LittleEndian.Uint64(b[:]) != head
}
