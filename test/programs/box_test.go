package programs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/test/harness"
)

// box is a container in which a program runs: the host's root file system,
// everything else its own.
type box struct {
	t          *testing.T
	tree       *harness.Tree
	dir        string // the program's
	statefiles string // directory
	cgroups    []*harness.Cgroup
	made       int
	progress   string
}

// start starts a program in a container. What it does is the test's own affair:
// the tests of this package do not run side by side, since each of them keeps
// all cores busy.
func start(t *testing.T, program string, args ...string) *box {
	t.Helper()
	b := newBox(t)
	b.start(source(t, "init.sh"), append([]string{program}, args...)...)
	return b
}

// newBox is a container in which nothing runs yet.
func newBox(t *testing.T) *box {
	t.Helper()
	need.Check(t, need.Root, need.Freezer, need.Program("busybox"))
	b := &box{t: t, dir: t.TempDir(), statefiles: t.TempDir()}
	// Some programs refuse to run as root.
	for _, dir := range []string{b.dir, filepath.Dir(b.dir)} {
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if err := harness.Remove(b.tree, b.cgroups...); err != nil {
			t.Error(err)
		}
	})
	return b
}

// start starts the container's first process.
func (b *box) start(program string, args ...string) {
	b.t.Helper()
	tree, err := harness.Start(b.dir, b.cgroup(), program, args...)
	if err != nil {
		b.t.Fatal(err)
	}
	b.tree = tree
}

// cgroup makes a cgroup for the container; where the machine has both freezers,
// they take turns.
func (b *box) cgroup() *harness.Cgroup {
	b.t.Helper()
	hierarchies := need.Freezers()
	name := fmt.Sprintf("%s-%d", strings.ReplaceAll(b.t.Name(), "/", "-"), len(b.cgroups))
	c, err := harness.NewCgroup(hierarchies[len(b.cgroups)%len(hierarchies)], name)
	if err != nil {
		b.t.Fatal(err)
	}
	b.cgroups = append(b.cgroups, c)
	return c
}

// checkpoint makes one while the program goes on.
func (b *box) checkpoint() string {
	b.t.Helper()
	return b.dump()
}

// kill makes one and ends the program.
func (b *box) kill() {
	b.t.Helper()
	b.dump("-k")
	if err := b.tree.Pids(0, 10*time.Second); err != nil {
		b.t.Fatalf("killed, but: %v", err)
	}
}

// passing is what may be said against a checkpoint, and is over when it is tried
// again: somebody is just making a process by vfork, or is connected to, and has
// sent something, before that was accepted, or has not read yet what was watched.
var passing = regexp.MustCompile("vfork|waits? to be accepted|wait to be read|try again")

// dump makes a checkpoint.
func (b *box) dump(args ...string) string {
	b.t.Helper()
	_ = os.Remove(b.statefile()) // one at a time is enough
	b.made++
	args = append([]string{"--cgroup=" + b.tree.Cgroup.Dir, "-S", b.statefile()}, args...)
	if harness.Slow() {
		args = append(args, "--timeout=100")
		if b.made%2 == 1 { // that while it goes on, not the one of which it is restarted
			args = append(args, "--no-bpf")
		}
	}
	for range 20 {
		got := harness.Run(b.t, harness.Tool(b.t, "lxc-checkpoint"), args...)
		if got.Code == 0 && got.Stdout == "" && got.Stderr == "" {
			return b.statefile()
		}
		if !passing.MatchString(got.Stderr) {
			b.t.Fatalf("checkpoint %d: %v\n%s", b.made, got, b.log())
		}
	}
	b.t.Fatalf("checkpoint %d: something was under way each time", b.made)
	return ""
}

func (b *box) statefile() string {
	return filepath.Join(b.statefiles, fmt.Sprint(b.made, ".statefile"))
}

// restart makes the program again from the last statefile.
func (b *box) restart() {
	b.t.Helper()
	b.tree.Move(b.cgroup())
	harness.Silent(b.t, "lxc-restart", "--native", "--cgroup="+b.tree.Cgroup.Dir, "-n", "programs", "-S", b.statefile())
}

// log is what the program has said.
func (b *box) log() string {
	text, _ := os.ReadFile(filepath.Join(b.dir, "log"))
	return string(text)
}
