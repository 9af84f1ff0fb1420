package elfcore_test

import (
	"bytes"
	"context"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/cmd/lxc-statefile/elfcore"
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/image/reader"
	"lxc-checkpoint/image/vectors"
	"lxc-checkpoint/image/writer"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/internal/vdso"
	"lxc-checkpoint/tracee"
)

// target starts the C program and waits until its threads sleep.
func target(t *testing.T) (pid int, program string) {
	t.Helper()
	for _, tool := range []string{"gcc", "gdb"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	program = filepath.Join(t.TempDir(), "threads")
	if out, err := exec.Command("gcc", "-g", "-O0", "-pthread", "-o", program, "testdata/threads.c").CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	cmd := exec.Command(program)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if _, err := io.ReadFull(out, make([]byte, len("ready\n"))); err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		if asleep(t, cmd.Process.Pid) {
			return cmd.Process.Pid, program
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("its threads do not come to rest")
	return 0, ""
}

// asleep tells whether every thread is in pause(2), ppoll(2) on arm64.
func asleep(t *testing.T, pid int) bool {
	t.Helper()
	for _, tid := range tids(t, pid) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/syscall", pid, tid))
		if err != nil {
			t.Fatal(err)
		}
		if call, _, _ := strings.Cut(string(text), " "); call != map[string]string{"amd64": "34", "arm64": "73"}[runtime.GOARCH] {
			return false
		}
	}
	return true
}

// snapshot writes a statefile of a process, the simple way.
func snapshot(t *testing.T, pid int) []byte {
	t.Helper()
	s := vectors.Smallest()
	code, err := vdso.Code()
	if err != nil {
		t.Fatal(err)
	}
	s.Header.VdsoDigest = vdso.Digest(code)
	s.Header.Architecture = runtime.GOARCH
	p := s.Processes[0]
	p.Pid, s.Container.RootPid, p.CommandLine = uint32(pid), uint32(pid), "threads"
	p.Tasks = nil
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for _, tid := range tids(t, pid) {
		k, err := tracee.Seize(tid, tracee.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := k.Interrupt(); err != nil {
			t.Fatal(err)
		}
		if _, err := k.Wait(context.Background()); err != nil {
			t.Fatal(err)
		}
		defer k.Detach(0)
		task := &format.Task{Tid: uint32(tid), Name: "threads", Files: vectors.FilesID, Fs: vectors.FsID, Credentials: &format.Credentials{}}
		sets, err := k.RegisterSets()
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range sets {
			task.Registers = append(task.Registers, &format.RegisterSet{NoteType: r.NoteType, Data: r.Data})
		}
		p.Tasks = append(p.Tasks, task)
	}
	return memory(t, s, pid)
}

func tids(t *testing.T, pid int) []int {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		t.Fatal(err)
	}
	var all []int
	for _, e := range entries {
		n, err := strconv.Atoi(e.Name())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, n)
	}
	return all
}

// memory writes the statefile, with the pages that its format wants.
func memory(t *testing.T, s *format.Skeleton, pid int) []byte {
	t.Helper()
	mm := s.Mms[0]
	mm.Vmas = nil
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	if mm.Auxv, err = os.ReadFile(fmt.Sprintf("/proc/%d/auxv", pid)); err != nil {
		t.Fatal(err)
	}
	maps, err := procfs.ReadMaps(pid)
	if err != nil {
		t.Fatal(err)
	}
	type run struct {
		owner  uint32
		offset uint64
		data   []byte
	}
	var runs []run
	for _, m := range maps {
		v := &format.Vma{Start: m.Start, End: m.End, Prot: m.Prot, Kind: format.VmaKind_VMA_ANONYMOUS, Offset: m.Offset}
		mm.Vmas = append(mm.Vmas, v)
		var file []byte
		owner, shift := uint32(vectors.MmID), uint64(0)
		switch {
		case m.Path == "[vdso]":
			v.Kind = format.VmaKind_VMA_VDSO
			continue
		case strings.HasPrefix(m.Path, "[vvar"):
			v.Kind = format.VmaKind_VMA_VVAR
			continue
		case m.Path == "[vsyscall]":
			v.Kind = format.VmaKind_VMA_VSYSCALL
			continue
		case m.Shared:
			v.Kind, v.SharedMemory = format.VmaKind_VMA_SHARED_ANONYMOUS, 50
			s.SharedMemories = []*format.SharedMemory{{Id: 50, Size: m.End - m.Start}}
			s.Layout.Contents = append(s.Layout.Contents, &format.Content{Owner: 50})
			owner, shift = 50, m.Start
		case m.Inode != 0:
			v.Kind = format.VmaKind_VMA_FILE_PRIVATE
			st, err := os.Stat(m.Path)
			if err != nil {
				t.Fatal(err)
			}
			v.File = &format.FileIdentity{Path: m.Path, Size: uint64(st.Size()), MtimeNs: st.ModTime().UnixNano()}
			if file, err = os.ReadFile(m.Path); err != nil {
				t.Fatal(err)
			}
		}
		page := make([]byte, vectors.Page)
		if m.Prot == 0 || m.End-m.Start > 1<<30 {
			continue
		}
		for at := m.Start; at < m.End; at += vectors.Page {
			if _, err := mem.ReadAt(page, int64(at)); err != nil {
				t.Fatalf("%x: %v", at, err)
			}
			same := make([]byte, vectors.Page)
			if file != nil && m.Offset+at-m.Start < uint64(len(file)) {
				copy(same, file[m.Offset+at-m.Start:])
			}
			if !bytes.Equal(page, same) {
				runs = append(runs, run{owner, at - shift, bytes.Clone(page)})
			}
		}
	}
	var out bytes.Buffer
	w := writer.New(&out, writer.Options{})
	if err := w.Skeleton(s); err != nil {
		t.Fatal(err)
	}
	for _, r := range runs {
		if err := w.Pages(r.owner, r.offset, 0, r.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func writeCore(t *testing.T, statefile []byte, pid int, root string) (name string, missing []string) {
	t.Helper()
	img, err := reader.New(bytes.NewReader(statefile))
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	f, err := os.Create(filepath.Join(t.TempDir(), "core"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	err = elfcore.Write(context.Background(), img, uint32(pid), f, elfcore.Options{
		Root: root, Missing: func(path, why string) { missing = append(missing, path) },
	})
	if err != nil {
		t.Fatal(err)
	}
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if used := st.Sys().(*syscall.Stat_t).Blocks * 512; used > 64<<20 {
		t.Errorf("the core takes %d bytes of disk", used)
	}
	return f.Name(), missing
}

// TestGDB has gdb look at a core: with the files that the process had mapped,
// and without, so that gdb must use its own.
func TestGDB(t *testing.T) {
	pid, program := target(t)
	statefile := snapshot(t, pid)
	for _, c := range []struct {
		name, root string
		missing    bool
	}{{"with files", "/", false}, {"without files", t.TempDir(), true}} {
		t.Run(c.name, func(t *testing.T) {
			core, missing := writeCore(t, statefile, pid, c.root)
			if (len(missing) > 0) != c.missing {
				t.Errorf("missing: %q", missing)
			}
			args := []string{"-q", "-batch", "-nx"}
			for _, x := range []string{
				"thread apply all bt", "print initialized", "print zeroed", "print text", "print shared[1024]",
				"thread apply all print own", "frame function main", "print wide", "info auxv", "info proc mappings", "x/i $pc",
			} {
				args = append(args, "-ex", x)
			}
			out, err := exec.Command("gdb", append(args, program, core)...).CombinedOutput()
			if err != nil {
				t.Errorf("gdb: %v", err)
			}
			for want, times := range map[string]int{
				" deepest (n=1) at ": 1, " deepest (n=2) at ": 1, " deeper (n=": 2, "in main () at ": 1, "$1 = 4711": 1,
				"$2 = 42": 1, `"read only"`: 1, " = 99": 1, " = 0.5": 1, "AT_SYSINFO_EHDR": 1, "$5 = 2\n": 1, "$6 = 1\n": 1,
				"/threads\n": 1,
			} {
				if n := strings.Count(string(out), want); n < times {
					t.Errorf("gdb says %q %d times instead of %d", want, n, times)
				}
			}
			if n := strings.Count(string(out), "[New LWP "); n != 3 {
				t.Errorf("gdb sees %d threads instead of 3", n)
			}
			if strings.Contains(string(out), "Cannot access memory") || t.Failed() {
				t.Errorf("gdb:\n%s", out)
			}
		})
	}
}

// TestBytes compares the bytes of a core with those of the process.
func TestBytes(t *testing.T) {
	pid, _ := target(t)
	// It must not run between the two looks: the kernel writes the number of
	// the CPU into its rseq areas when it does.
	if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	core, _ := writeCore(t, snapshot(t, pid), pid, "/")
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	n := 0
	for _, s := range loads(t, core) {
		if s.Filesz == 0 {
			continue
		}
		have, want := make([]byte, s.Filesz), make([]byte, s.Filesz)
		if _, err := s.ReadAt(have, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := mem.ReadAt(want, int64(s.Vaddr)); err != nil {
			continue // of a file's end, the core has zeros
		}
		if !bytes.Equal(have, want) {
			t.Errorf("segment at %x differs", s.Vaddr)
		}
		n++
	}
	if n < 10 {
		t.Errorf("only %d segments were compared", n)
	}
}

func loads(t *testing.T, core string) []*elf.Prog {
	t.Helper()
	f, err := elf.Open(core)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	var all []*elf.Prog
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD {
			all = append(all, p)
		}
	}
	return all
}
