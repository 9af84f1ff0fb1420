// Package targets checkpoints and restarts small C programs that judge
// themselves, each about one fact (c/*.c; c/target.h has the protocol), and
// sees that what can't be taken is refused by name (c/refused/*.c).
package targets

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/test/harness"
)

func TestMain(m *testing.M) {
	giveBack, leave := reserveHugePages(), mergePages()
	code := m.Run()
	giveBack()
	leave()
	if built != "" {
		os.RemoveAll(built)
	}
	if left := harness.Leftovers(); len(left) > 0 {
		fmt.Println("left behind:", left)
		code = 1
	}
	tally.print()
	os.Exit(code)
}

// reserveHugePages has the kernel keep some huge pages for the targets of
// mem_hugetlb, which skip themselves if there are none all the same.
func reserveHugePages() (giveBack func()) {
	var reserved []string
	for size, number := range map[string]string{"2048kB": "12", "1048576kB": "1"} {
		file := "/sys/kernel/mm/hugepages/hugepages-" + size + "/nr_hugepages"
		before, err := os.ReadFile(file)
		if err == nil && strings.TrimSpace(string(before)) == "0" && os.WriteFile(file, []byte(number), 0) == nil {
			reserved = append(reserved, file)
		}
	}
	return func() {
		for _, file := range reserved {
			_ = os.WriteFile(file, []byte("0"), 0)
		}
	}
}

// mergePages has the kernel merge equal pages, for mem_ksm, which skips itself if
// it does not all the same. Other programs' pages it merges only if they want it.
func mergePages() (leave func()) {
	const file = "/sys/kernel/mm/ksm/run"
	before, err := os.ReadFile(file)
	if err != nil || strings.TrimSpace(string(before)) != "0" || os.WriteFile(file, []byte("1"), 0) != nil {
		return func() {}
	}
	return func() { _ = os.WriteFile(file, before, 0) }
}

// TestAlone: a target passes when nothing happens to it.
func TestAlone(t *testing.T) {
	for _, dir := range []string{"c", "c/refused"} {
		each(t, dir, func(_ *testing.T, r *run) { r.judge() })
	}
}

// TestKill: checkpoint with -k, restart natively, and both once more from what
// was restarted.
func TestKill(t *testing.T) {
	each(t, "c", func(t *testing.T, r *run) {
		for round := range 2 {
			file := r.statefile(fmt.Sprint(round))
			processes := len(r.tree.Cgroup.Processes())
			args := []string{"--cgroup=" + r.tree.Cgroup.Dir, "-S", file, "-k"}
			if round == 1 && !byBPFOnly(r.source) { // the tasks are made to tell what eBPF told before
				args = append(args, "--no-bpf")
			}
			harness.Silent(t, "lxc-checkpoint", args...)
			if err := r.tree.Pids(0, 5*time.Second); err != nil {
				t.Fatalf("killed, but: %v", err)
			}
			r.verify(file)
			r.tree.Move(r.cgroup())
			// What was killed can be restarted here, and --check says so.
			if got := harness.Run(t, harness.Tool(t, "lxc-restart"), "--native", "--check", "--cgroup="+r.tree.Cgroup.Dir, "-S", file); got.Code != 0 {
				t.Errorf("it was killed, and %v", got)
			}
			harness.Silent(t, "lxc-restart", "--native", "--cgroup="+r.tree.Cgroup.Dir, "-n", r.name, "-S", file)
			if now := len(r.tree.Cgroup.Processes()); now != processes {
				t.Errorf("%d processes were restarted, %d were checkpointed", now, processes)
			}
		}
		r.judge()
	})
}

// TestLive: ten checkpoints of a container that goes on.
func TestLive(t *testing.T) {
	each(t, "c", func(t *testing.T, r *run) {
		for round := range 10 {
			file := r.statefile(fmt.Sprint(round))
			args := []string{"--cgroup=" + r.tree.Cgroup.Dir, "-S", file}
			if round == 1 && !byBPFOnly(r.source) { // the tasks are made to tell what eBPF told before
				args = append(args, "--no-bpf")
			}
			harness.Silent(t, "lxc-checkpoint", args...)
			if round == 0 {
				r.verify(file)
			}
		}
		r.judge()
	})
}

// TestRefused: what can't be taken is named; nothing is written, and the
// program does not notice. On an emulated CPU it is asked once: --check is the
// same look.
func TestRefused(t *testing.T) {
	each(t, "c/refused", func(t *testing.T, r *run) {
		file := r.statefile("refused")
		var check *harness.Result
		if !harness.Slow() {
			check = harness.Run(t, harness.Tool(t, "lxc-checkpoint"), "--cgroup="+r.tree.Cgroup.Dir, "--check", timeout(2*time.Second))
		}
		got := harness.Run(t, harness.Tool(t, "lxc-checkpoint"), "--cgroup="+r.tree.Cgroup.Dir, "-S", file, "-k", timeout(2*time.Second))
		if got.Code != 1 {
			t.Errorf("not refused: %v", got)
		}
		for _, want := range r.wants() {
			if !want.MatchString(got.Stderr) {
				t.Errorf("no line of the message matches %q:\n%s", want, got.Stderr)
			}
			if check != nil && (check.Code != 1 || !want.MatchString(check.Stderr)) {
				t.Errorf("--check does not tell it: %v", check)
			}
		}
		if !strings.Contains(got.Stderr, "nothing was written") || !strings.Contains(got.Stderr, "runs") {
			t.Errorf("the message does not say how things stand now:\n%s", got.Stderr)
		}
		if files, _ := filepath.Glob(filepath.Join(filepath.Dir(file), "*")); len(files) > 0 {
			t.Errorf("files were left: %v", files)
		}
		r.judge()
	})
}

// each runs a test for every target of a directory, two at a time.
func each(t *testing.T, dir string, test func(*testing.T, *run)) {
	eachSource(t, dir, func(t *testing.T, name, source, program string, number int) {
		test(t, start(t, name, source, program, number))
	})
}

// eachSource is each for tests that start the program themselves.
func eachSource(t *testing.T, dir string, test func(t *testing.T, name, source, program string, number int)) {
	eachOf(t, dir, "*", test)
}

// eachOf is eachSource for those targets of a directory whose names match a pattern.
func eachOf(t *testing.T, dir, pattern string, test func(t *testing.T, name, source, program string, number int)) {
	need.Check(t, need.Root, need.Freezer)
	sources, err := filepath.Glob(filepath.Join(dir, pattern+".c"))
	if err != nil || len(sources) == 0 {
		t.Fatalf("no targets %s in %s: %v", pattern, dir, err)
	}
	for i, source := range sources {
		name := strings.TrimSuffix(filepath.Base(source), ".c")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kind := strings.TrimPrefix(strings.SplitN(t.Name(), "/", 2)[0], "Test")
			defer tally.add(t, kind, name)
			test(t, name, source, programOf(t, source), i)
		})
	}
}
