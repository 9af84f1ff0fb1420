package targets

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zeebo/xxh3"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/image/reader"
	"lxc-checkpoint/image/writer"
	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/test/harness"
)

// TestOtherVdso: programs go on calling the vdso that they know on a kernel
// with another one, also after a second restart on yet another. What the kernel
// of the checkpoint had is changed in the statefile: its build id.
func TestOtherVdso(t *testing.T) {
	need.Check(t, need.Root, need.Freezer)
	for i, name := range []string{"mem_vdso", "mem_vdso_clocks", "signal_handler", "sleep_time", "proc_wide"} {
		t.Run(name, func(t *testing.T) {
			r := start(t, name, "c/"+name+".c", programOf(t, "c/"+name+".c"), i)
			for _, round := range []string{"first", "second"} {
				file := r.statefile(round)
				harness.Silent(t, "lxc-checkpoint", "--cgroup="+r.tree.Cgroup.Dir, "-S", file, "-k")
				if err := r.tree.Pids(0, 5*time.Second); err != nil {
					t.Fatal(err)
				}
				changed := rewrite(t, file, func(s *format.Skeleton) {
					if len(s.Header.Vdso) == 0 {
						t.Skip("this kernel has no vdso")
					}
					s.Header.Vdso[len(s.Header.Vdso)-1] ^= 0xff // behind the end of the ELF file
					s.Header.VdsoDigest = xxh3.Hash(s.Header.Vdso)
				})
				r.tree.Move(r.cgroup())
				harness.Silent(t, "lxc-restart", "--native", "--cgroup="+r.tree.Cgroup.Dir, "-n", r.name, "-S", changed)
				elsewhere(t, r.tree.Cgroup.Processes())
			}
			r.judge()
		})
	}
}

// elsewhere sees that the kernel's vdso is not where the programs know one.
func elsewhere(t *testing.T, pids []int) {
	t.Helper()
	for _, pid := range pids {
		auxv, err := os.ReadFile(fmt.Sprintf("/proc/%d/auxv", pid))
		if err != nil {
			t.Fatal(err)
		}
		maps, err := procfs.ReadMaps(pid)
		if err != nil {
			t.Fatal(err)
		}
		is := slices.IndexFunc(maps, func(v procfs.VMA) bool { return v.Path == "[vdso]" })
		if is < 0 || bytes.Contains(auxv, binary.LittleEndian.AppendUint64(nil, maps[is].Start)) {
			t.Errorf("process %d has no vdso besides the one that it knows", pid)
		}
	}
}

// openStatefile reads the skeleton of a statefile, whose contents may be read
// until the test ends.
func openStatefile(t *testing.T, name string) (*reader.Reader, *format.Skeleton) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	img, err := reader.New(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { img.Close() })
	s, err := img.Skeleton()
	if err != nil {
		t.Fatal(err)
	}
	return img, s
}

// rewrite writes a statefile once more, changed, and returns its name.
func rewrite(t *testing.T, name string, change func(*format.Skeleton)) string {
	t.Helper()
	img, s := openStatefile(t, name)
	change(s)
	to, err := os.OpenFile(name+".changed", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	w := writer.New(to, writer.Options{ImageID: s.Header.ImageId})
	if err := w.Skeleton(s); err != nil {
		t.Fatal(err)
	}
	var one sync.Mutex
	pages := func(owner uint32, offset uint64, data []byte) error {
		one.Lock()
		defer one.Unlock()
		return w.Pages(owner, offset, 0, data)
	}
	for range s.Inherited {
		id, err := img.Inherited(context.Background(), runtime.NumCPU(), pages)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.EndInherited(id); err != nil {
			t.Fatal(err)
		}
	}
	if err := img.Contents(context.Background(), runtime.NumCPU(), pages); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	return to.Name()
}

// TestOtherNarrowVdso: a 32-bit program is refused by name on a kernel with
// another vdso of such programs, and comes back on its own.
func TestOtherNarrowVdso(t *testing.T) {
	need.Check(t, need.Root, need.Freezer)
	const name, source = "narrow_system", "c/narrow_system.c"
	r := start(t, name, source, programOf(t, source), 0)
	file := r.statefile("first")
	harness.Silent(t, "lxc-checkpoint", "--cgroup="+r.tree.Cgroup.Dir, "-S", file, "-k")
	if err := r.tree.Pids(0, 5*time.Second); err != nil {
		t.Fatal(err)
	}
	changed := rewrite(t, file, func(s *format.Skeleton) {
		for _, mm := range s.Mms {
			if mm.NarrowVdsoDigest == 0 {
				t.Fatal("a 32-bit program has no 32-bit vdso")
			}
			mm.NarrowVdsoDigest++
		}
	})
	r.tree.Move(r.cgroup())
	restart := func(file string) *harness.Result {
		return harness.Run(t, harness.Tool(t, "lxc-restart"), "--native", "--cgroup="+r.tree.Cgroup.Dir, "-n", r.name, "-S", file)
	}
	if got := restart(changed); got.Code != 1 || !strings.Contains(got.Stderr, "another vdso of 32-bit programs") {
		t.Errorf("on another kernel: %v", got)
	}
	r.tree.Move(r.cgroup())
	if got := restart(file); got.Code != 0 {
		t.Fatalf("on its own kernel: %v", got)
	}
	r.judge()
}
