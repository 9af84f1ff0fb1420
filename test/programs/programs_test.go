// Package programs checkpoints and restarts real programs under load, as Debian
// has them: each in a small container, killed and restarted three times, with
// checkpoints in between while it goes on, and then judged by its own check of
// consistency.
//
// The protocol are files in the directory where a program was started: it keeps
// telling in "progress" how far it is; when there is a file "stop" it ends, and
// writes "pass" or "fail: why" to "result".
package programs

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
	code := m.Run()
	if left := harness.Leftovers(); len(left) > 0 {
		fmt.Println("left behind:", left)
		code = 1
	}
	os.Exit(code)
}

// TestSQLite: two writers and a reader, with both kinds of journal. Record
// locks are held and waited for all the time; a WAL's index is a shared mapping.
func TestSQLite(t *testing.T) {
	need.Check(t, need.Program("python3"))
	for _, journal := range []string{"wal", "delete"} {
		t.Run(journal, func(t *testing.T) {
			underLoad(t, "python3", source(t, "sqlite/ledger.py"), journal)
		})
	}
}

// TestMultiprocessing: processes of Python with queues, a pool, locks and
// shared values. POSIX semaphores are mappings of files that were removed.
func TestMultiprocessing(t *testing.T) {
	need.Check(t, need.Program("python3"))
	underLoad(t, "python3", source(t, "multiprocessing/queues.py"))
}

// TestMake: gcc builds a project by make -j4: jobserver, vfork, temporary files.
func TestMake(t *testing.T) {
	need.Check(t, need.CC, need.Program("make"))
	underLoad(t, source(t, "make/project.sh"))
}

// TestBash: a shell with job control on a terminal, whose jobs stop and go on all
// the time.
func TestBash(t *testing.T) {
	need.Check(t, need.Program("bash"), need.Program("python3"))
	b := newBox(t)
	b.start(source(t, "ownproc.sh"), "python3", source(t, "bash/terminal.py"), source(t, "bash/jobs.sh"))
	b.endure()
	b.judge()
}

// TestBusybox: its shell, a server, and the applets that the shell starts all the
// time. They are found before the programs of the same names.
func TestBusybox(t *testing.T) {
	need.Check(t, need.Program("busybox"))
	applets := t.TempDir()
	if err := os.Chmod(filepath.Dir(applets), 0o755); err != nil {
		t.Fatal(err)
	}
	harness.Must(t, "busybox", "--install", "-s", applets)
	underLoad(t, "env", "PATH="+applets, "sh", source(t, "busybox/errands.sh"))
}

// source is the path of a file of this directory.
func source(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// underLoad runs a program through all of it.
func underLoad(t *testing.T, program string, args ...string) {
	t.Helper()
	b := start(t, program, args...)
	b.endure()
	b.judge()
}

// How often a program is killed and restarted, and how many checkpoints it
// sees in all while it goes on.
var kills, lives = rounds()

// rounds are but one of each on an emulated CPU.
func rounds() (kills, lives int) {
	if harness.Slow() {
		return 1, 1
	}
	return harness.Rounds(3, 20), harness.Rounds(4, 20)
}

// endure checkpoints and restarts the program, which has to go on each time.
func (b *box) endure() {
	b.t.Helper()
	b.goesOn()
	for round := range kills {
		for range (lives + kills - 1 - round) / kills {
			b.checkpoint()
			b.goesOn()
		}
		b.kill()
		b.restart()
		b.goesOn()
	}
}

// goesOn waits until the program is further than it was.
func (b *box) goesOn() {
	b.t.Helper()
	var now string
	further := harness.Wait(time.Minute, func() bool {
		text, _ := os.ReadFile(filepath.Join(b.dir, "progress"))
		now = string(text)
		return now != "" && now != b.progress || !b.tree.Alive()
	})
	if !further || !b.tree.Alive() {
		b.t.Fatalf("the program is no further than %.100q (alive: %v)\n%s", b.progress, b.tree.Alive(), b.log())
	}
	b.progress = now
}

// judge has the program end and say whether all was well.
func (b *box) judge() {
	b.t.Helper()
	if err := b.tree.Trigger("stop"); err != nil {
		b.t.Fatal(err)
	}
	result, err := b.tree.AwaitFile("result", 2*time.Minute)
	if err != nil {
		b.t.Fatal(err)
	}
	if result != "pass" {
		b.t.Fatalf("%s\n%s", result, b.log())
	}
	lines := strings.Split(strings.TrimSpace(b.progress), "\n")
	b.t.Logf("came as far as %.100s (line %d)", lines[len(lines)-1], len(lines))
}
