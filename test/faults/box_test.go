package faults

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/test/harness"
)

// box is a container that runs one of the programs of c/, and a directory for
// its statefiles.
type box struct {
	t      *testing.T
	tree   *harness.Tree
	cgroup *harness.Cgroup
	states string
	pids   []int    // of its processes, in order
	target []string // how lxc-checkpoint is told of it
	thaw   func() error
}

// newBox starts a program in a cgroup of the hierarchy and waits until it is
// ready; mebibytes is how much memory c/ring.c takes. The end of the test
// removes it all.
func newBox(t *testing.T, hierarchy, program string, mebibytes int) *box {
	t.Helper()
	path := filepath.Join(programs(t), program)
	cgroup, err := harness.NewCgroup(hierarchy, strings.ReplaceAll(t.Name(), "/", "-"))
	if err != nil {
		t.Fatal(err)
	}
	b := &box{t: t, cgroup: cgroup, states: t.TempDir(), target: []string{"--cgroup=" + cgroup.Dir}}
	b.thaw = func() error { return cgroup.Freeze(false) }
	t.Cleanup(func() {
		if err := harness.Remove(b.tree, cgroup); err != nil {
			t.Error(err)
		}
		b.reap()
	})
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mebibytes"), []byte(strconv.Itoa(mebibytes)), 0o644); err != nil {
		t.Fatal(err)
	}
	if b.tree, err = harness.Start(dir, cgroup, path); err != nil {
		t.Fatal(err)
	}
	if _, err := b.tree.AwaitFile("ready", time.Minute); err != nil {
		t.Fatalf("before the checkpoint: %v%s", err, b.result())
	}
	b.pids = b.now()
	return b
}

// hierarchies are the freezers of this machine by name.
func hierarchies(t *testing.T) map[string]string {
	t.Helper()
	need.Check(t, need.Root, need.Freezer)
	all := map[string]string{}
	for _, dir := range need.Freezers() {
		name := "v1"
		if _, err := os.Stat(filepath.Join(dir, "cgroup.controllers")); err == nil {
			name = "v2"
		}
		all[name] = dir
	}
	return all
}

// someHierarchy is one of them, for what does not depend on the freezer.
func someHierarchy(t *testing.T) string {
	t.Helper()
	need.Check(t, need.Root, need.Freezer)
	all := need.Freezers()
	return all[rand.IntN(len(all))]
}

// now lists the processes that live in the container.
func (b *box) now() []int {
	pids := b.cgroup.Processes()
	slices.Sort(pids)
	return pids
}

func (b *box) statefile() string { return filepath.Join(b.states, "state") }

// args begins a command line of lxc-checkpoint.
func (b *box) args(more ...string) []string {
	return slices.Concat(b.target, more)
}

// checkpoint runs lxc-checkpoint, which has to succeed.
func (b *box) checkpoint(more ...string) *harness.Result {
	b.t.Helper()
	return harness.Silent(b.t, "lxc-checkpoint", b.args(more...)...)
}

// restart brings it back from a statefile, into the same cgroup.
func (b *box) restart(file string) *harness.Result {
	b.t.Helper()
	b.reap()
	r := harness.Silent(b.t, "lxc-restart", "--native", "--cgroup="+b.cgroup.Dir, "-n", "faults", "-S", file)
	now := b.now()
	if len(now) != len(b.pids) {
		b.t.Errorf("%d processes were restarted, %d were checkpointed", len(now), len(b.pids))
	}
	b.pids = now
	return r
}

// reap waits until the killed processes that are our children are gone: what a
// restart has made is.
func (b *box) reap() {
	harness.Wait(5*time.Second, func() bool {
		for _, pid := range b.pids {
			var s unix.WaitStatus
			if got, err := unix.Wait4(pid, &s, unix.WNOHANG, nil); err == nil && got != pid {
				return false
			}
		}
		return true
	})
}

// number is what c/ring.c has counted to.
func (b *box) number() int {
	text, _ := os.ReadFile(filepath.Join(b.tree.Dir, "beat"))
	n, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return n
}

// runs tells whether the number of c/ring.c grows: then every process and every
// thread of it runs.
func (b *box) runs() bool {
	before := b.number()
	return harness.Wait(5*time.Second, func() bool { return b.number() > before })
}

// goesOn fails the test unless all processes are there, run, and are nobody's
// tracees.
func (b *box) goesOn(when string) {
	b.t.Helper()
	if now := b.now(); !slices.Equal(now, b.pids) {
		b.t.Fatalf("%s: the container's processes were %v and are %v%s", when, b.pids, now, b.result())
	}
	if !b.runs() {
		b.t.Fatalf("%s: the container does not go on; its processes: %s%s", when, b.conditions(), b.result())
	}
	for _, pid := range b.pids {
		if tracer := status(pid, "TracerPid"); tracer != "0" {
			b.t.Errorf("%s: process %d is traced by %s", when, pid, tracer)
		}
	}
}

func (b *box) conditions() string {
	var words []string
	for _, pid := range b.now() {
		words = append(words, fmt.Sprintf("%d %s (tracer %s)", pid, status(pid, "State"), status(pid, "TracerPid")))
	}
	return strings.Join(words, ", ")
}

// judge asks the program how it finds its world.
func (b *box) judge() {
	b.t.Helper()
	if err := b.tree.Trigger("go"); err != nil {
		b.t.Fatal(err)
	}
	result, err := b.tree.AwaitFile("result", time.Minute)
	if err != nil {
		b.t.Fatalf("afterwards: %v", err)
	}
	if result != "pass" {
		b.t.Errorf("afterwards: %s", result)
	}
}

func (b *box) result() string {
	text, err := os.ReadFile(filepath.Join(b.tree.Dir, "result"))
	if err != nil {
		return ""
	}
	return "; it says " + string(text)
}

// files fails the test unless these, and no others, are in the directory.
func (b *box) files(when, dir string, want ...string) {
	b.t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		b.t.Fatal(err)
	}
	var have []string
	for _, e := range entries {
		have = append(have, e.Name())
	}
	if !slices.Equal(have, want) {
		b.t.Errorf("%s: there are the files %v instead of %v", when, have, want)
	}
}

// verify has lxc-statefile and stock zstd check a statefile.
func (b *box) verify(when, file string) {
	b.t.Helper()
	if r := harness.Run(b.t, harness.Tool(b.t, "lxc-statefile"), "verify", file); r.Code != 0 {
		b.t.Fatalf("%s: %v", when, r)
	}
	if need.Zstd.Missing() == nil {
		harness.Must(b.t, "zstd", "-q", "-t", file)
	}
}

// programs returns the directory of the programs of c/, which TestMain removes.
func programs(t *testing.T) string {
	t.Helper()
	need.Check(t, need.CC, need.LibC)
	dir, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

var built string // the directory, once it is there

var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "lxc-checkpoint-faults-")
	if err != nil {
		return "", err
	}
	built = dir
	sources, err := filepath.Glob("c/*.c")
	if err != nil {
		return "", err
	}
	for _, source := range sources {
		program := filepath.Join(dir, strings.TrimSuffix(filepath.Base(source), ".c"))
		out, err := exec.Command("gcc", "-std=gnu17", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-static", "-pthread",
			"-I", filepath.Join(harness.Root(), "test", "targets", "c"), "-o", program, source).CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("gcc %s: %w\n%s", source, err, out)
		}
	}
	return dir, nil
})
