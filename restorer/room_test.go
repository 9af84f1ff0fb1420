package restorer

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
)

// TestRoom: what the kernel would not grant is told before anything is made, with
// what to do about it.
func TestRoom(t *testing.T) {
	const mib, write = 1 << 20, unix.PROT_READ | unix.PROT_WRITE
	vma := func(size uint64, change func(v *format.Vma)) *format.Vma {
		v := &format.Vma{Start: 1 << 40, End: 1<<40 + size, Prot: write, Kind: format.VmaKind_VMA_ANONYMOUS}
		if change != nil {
			change(v)
		}
		return v
	}
	memory := procfs.MemInfo{Total: 1000 * mib, SwapTotal: 24 * mib, CommitLimit: 500 * mib, Committed: 400 * mib}
	over := memory
	over.Committed = 600 * mib
	for name, c := range map[string]struct {
		room room
		vmas []*format.Vma
		want []string // parts of the message; none: it is granted
	}{
		"never, fits":                 {room{2, 10, memory}, []*format.Vma{vma(100*mib, nil)}, nil},
		"never, too much":             {room{2, 10, memory}, []*format.Vma{vma(50*mib, nil), vma(51*mib, nil)}, []string{"101 MiB", "100 MiB left", "of 500", "vm.overcommit_ratio", "vm.overcommit_memory=0"}},
		"never, nothing left":         {room{2, 10, over}, []*format.Vma{vma(mib, nil)}, []string{"0 MiB left"}},
		"never, MAP_NORESERVE counts": {room{2, 10, memory}, []*format.Vma{vma(101*mib, func(v *format.Vma) { v.NoReserve = true })}, []string{"101 MiB"}},
		"never, sizes that overflow": {room{2, 10, memory}, []*format.Vma{{End: 1 << 63, Prot: write, Kind: format.VmaKind_VMA_ANONYMOUS},
			{Start: 1, End: 1<<63 + 2, Prot: write, Kind: format.VmaKind_VMA_ANONYMOUS}}, []string{"100 MiB left"}},
		"never, not writable":  {room{2, 10, memory}, []*format.Vma{vma(101*mib, func(v *format.Vma) { v.Prot = unix.PROT_READ })}, nil},
		"never, huge pages":    {room{2, 10, memory}, []*format.Vma{vma(102*mib, func(v *format.Vma) { v.HugePageSize = 2 * mib })}, nil},
		"never, droppable":     {room{2, 10, memory}, []*format.Vma{vma(101*mib, func(v *format.Vma) { v.Droppable = true })}, nil},
		"never, a file's":      {room{2, 10, memory}, []*format.Vma{vma(101*mib, func(v *format.Vma) { v.Kind = format.VmaKind_VMA_FILE_SHARED })}, nil},
		"guess, fits":          {room{0, 10, memory}, []*format.Vma{vma(1024*mib, nil), vma(1024*mib, nil)}, nil},
		"guess, too large":     {room{0, 10, memory}, []*format.Vma{vma(1025*mib, nil)}, []string{"process 1 ", "1025 MiB", "0x10000000000", "1024 MiB", "vm.overcommit_memory=1"}},
		"guess, MAP_NORESERVE": {room{0, 10, memory}, []*format.Vma{vma(1025*mib, func(v *format.Vma) { v.NoReserve = true })}, nil},
		"always":               {room{1, 10, memory}, []*format.Vma{vma(1<<40, nil)}, nil},
		"mappings":             {room{1, 2, memory}, []*format.Vma{vma(mib, nil), vma(mib, nil), vma(mib, func(v *format.Vma) { v.Kind = format.VmaKind_VMA_VSYSCALL })}, nil},
		"too many mappings":    {room{1, 1, memory}, []*format.Vma{vma(mib, nil), vma(mib, nil)}, []string{"process 1 ", "2 mappings", "have 1", "vm.max_map_count=102"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := tree("1 0 1 1")
			s.Mms[0].Vmas = c.vmas
			err := c.room.check(s)
			if (err != nil) != (len(c.want) > 0) {
				t.Fatal("it says:", err)
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q is not in: %v", w, err)
				}
			}
		})
	}
	have, err := hostRoom()
	if err != nil || have.mappings == 0 || have.memory.Total == 0 || have.memory.CommitLimit == 0 {
		t.Errorf("this host: %+v, %v", have, err)
	}
}
