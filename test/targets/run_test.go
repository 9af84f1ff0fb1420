package targets

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/test/harness"
)

// run is one target that runs in its container.
type run struct {
	t       *testing.T
	name    string
	source  string
	tree    *harness.Tree
	dir     string // of statefiles
	cgroups []*harness.Cgroup
	next    int                    // which hierarchy the next cgroup is in
	ids     []syscall.SysProcIDMap // of a user namespace of its own
}

// start starts a target and waits until it is ready. A target that finds that
// the machine lacks what it is about skips the test.
func start(t *testing.T, name, source, program string, number int) *run {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return startIn(t, dir, name, source, program, number)
}

// startIn is start in a given directory.
func startIn(t *testing.T, dir, name, source, program string, number int) *run {
	t.Helper()
	r := &run{t: t, name: name, source: source, dir: t.TempDir(), next: number}
	r.start(dir, program)
	return r
}

// start starts the target.
func (r *run) start(dir, program string) {
	t := r.t
	t.Helper()
	t.Cleanup(func() {
		if err := harness.Remove(r.tree, r.cgroups...); err != nil {
			t.Error(err)
		}
	})
	tree, err := harness.StartAs(r.ids, dir, r.cgroup(), program)
	if err != nil {
		t.Fatal(err)
	}
	r.tree = tree
	// To touch a page of 1 GiB may take a virtual machine that long.
	if _, err := tree.AwaitFile("ready", time.Minute); err != nil {
		if result, e := tree.AwaitFile("result", 0); e == nil {
			if reason, ok := strings.CutPrefix(result, "skip: "); ok {
				tally.skip(t, r.name, reason)
			}
			t.Fatalf("before the checkpoint: %s", result)
		}
		t.Fatalf("before the checkpoint: %v", err)
	}
}

// cgroup makes a cgroup for the container; where the machine has both freezers,
// they take turns.
func (r *run) cgroup() *harness.Cgroup {
	r.t.Helper()
	hierarchies := need.Freezers()
	name := fmt.Sprintf("%s-%d", strings.ReplaceAll(r.t.Name(), "/", "-"), len(r.cgroups))
	c, err := harness.NewCgroup(hierarchies[r.next%len(hierarchies)], name)
	if err != nil {
		r.t.Fatal(err)
	}
	r.next++
	r.cgroups = append(r.cgroups, c)
	return c
}

func (r *run) statefile(suffix string) string {
	return filepath.Join(r.dir, r.name+"."+suffix)
}

// verify checks a statefile with our own command, and with stock zstd; on an
// emulated CPU not its contents, which are the same on every kernel.
func (r *run) verify(file string) {
	r.t.Helper()
	files, _ := filepath.Glob(filepath.Join(r.dir, ".*"))
	if len(files) > 0 {
		r.t.Errorf("files were left: %v", files)
	}
	if s, err := os.Stat(file); err != nil || s.Mode() != 0o600 {
		r.t.Fatalf("statefile: %v, mode %v", err, s.Mode())
	}
	if harness.Slow() {
		return
	}
	got := harness.Run(r.t, harness.Tool(r.t, "lxc-statefile"), "verify", file)
	if got.Code != 0 {
		r.t.Fatalf("the statefile is not as it should be: %v", got)
	}
	if need.Zstd.Missing() == nil {
		harness.Must(r.t, "zstd", "-q", "-t", file)
	}
}

// judged is whoever has a target in it.
type judged interface {
	trigger(name string) error
	await(name string, d time.Duration) (string, error)
}

func (r *run) trigger(name string) error { return r.tree.Trigger(name) }

func (r *run) await(name string, d time.Duration) (string, error) { return r.tree.AwaitFile(name, d) }

func (r *run) judge() {
	r.t.Helper()
	judge(r.t, r)
}

// judge asks the target how it finds its world.
func judge(t *testing.T, of judged) {
	t.Helper()
	if err := of.trigger("go"); err != nil {
		t.Fatal(err)
	}
	result, err := of.await("result", time.Minute)
	if err != nil {
		t.Fatalf("afterwards: %v", err)
	}
	if result != "pass" {
		t.Errorf("afterwards: %s", result)
	}
}

// byBPFOnly tells whether the target is about what only eBPF tells.
func byBPFOnly(source string) bool {
	text := text(source)
	return text == "" || strings.Contains(text, "\n// by eBPF only\n")
}

// text is what is in a file, empty if there is none.
func text(file string) string {
	text, _ := os.ReadFile(file)
	return string(text)
}

// between is what stands between two words of a text.
func between(text, before, after string) string {
	_, text, _ = strings.Cut(text, before)
	text, _, _ = strings.Cut(text, after)
	return text
}

// wants are the lines "// refused: REGEXP" of a target's source.
func (r *run) wants() []*regexp.Regexp {
	text, err := os.ReadFile(r.source)
	if err != nil {
		r.t.Fatal(err)
	}
	var wants []*regexp.Regexp
	for line := range strings.Lines(string(text)) {
		if want, ok := strings.CutPrefix(line, "// refused: "); ok {
			wants = append(wants, regexp.MustCompile("(?m)^lxc-checkpoint: .*"+strings.TrimSpace(want)))
		}
	}
	if len(wants) == 0 {
		r.t.Fatalf("%s has no line \"// refused: \"", r.source)
	}
	return wants
}

var (
	built  string // directory of the programs, removed at the end
	once   sync.Once
	builds sync.Map // source -> func() error, which compiles it once
)

// programOf returns the program of a target's source: one of those in
// LXC_CHECKPOINT_TARGETS, or built when it is first asked for.
func programOf(t *testing.T, source string) string {
	t.Helper()
	name := strings.TrimSuffix(source, ".c")
	if isNarrow(source) {
		need.Check(t, need.Narrow)
	}
	if dir := os.Getenv("LXC_CHECKPOINT_TARGETS"); dir != "" {
		program := filepath.Join(dir, name)
		if _, err := os.Stat(program); isNarrow(source) && err != nil {
			t.Skip("it was not built: the host of the build has no 32-bit C library")
		}
		return program
	}
	need.Check(t, need.CC, need.LibC)
	if isNarrow(source) {
		need.Check(t, need.NarrowLibC)
	}
	once.Do(func() {
		dir, err := os.MkdirTemp("", "lxc-checkpoint-targets-")
		if err != nil {
			t.Fatal(err)
		}
		built = dir
	})
	program := filepath.Join(built, name)
	build, _ := builds.LoadOrStore(source, sync.OnceValue(func() error { return build(source, program) }))
	if err := build.(func() error)(); err != nil {
		t.Fatal(err)
	}
	return program
}

// isNarrow says whether a target is a 32-bit program.
func isNarrow(source string) bool { return strings.HasPrefix(filepath.Base(source), "narrow_") }

func build(source, program string) error {
	if err := os.MkdirAll(filepath.Dir(program), 0o755); err != nil {
		return err
	}
	args := []string{"-std=gnu17", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-static", "-pthread", "-o", program, source}
	if isNarrow(source) {
		// gcc-multilib, which would bring a directory with these, is in conflict
		// with the compiler for arm64.
		args = append(args, "-m32", "-isystem", "/usr/include/x86_64-linux-gnu")
	}
	out, err := exec.Command("gcc", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("gcc %s: %w\n%s", source, err, out)
	}
	return nil
}
