package faults

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/test/harness"
)

// TestRestartInterrupted ends lxc-restart at random instants: either the whole
// container runs, or nothing of it is left.
func TestRestartInterrupted(t *testing.T) {
	for name, hierarchy := range hierarchies(t) {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, hierarchy, "ring", 16)
			b.checkpoint("-S", b.statefile(), "-k")
			begin := time.Now()
			b.restart(b.statefile())
			whole := time.Since(begin)
			b.goesOn("after a restart that nobody ended")
			b.checkpoint("-S", b.statefile(), "-k")

			rounds := harness.Rounds(2, 50) // of each signal
			tally := map[string]int{}
			for i := range rounds {
				for _, signal := range []unix.Signal{unix.SIGKILL, unix.SIGTERM, unix.SIGINT, unix.SIGHUP} {
					part := whole * 11 / 10 / time.Duration(rounds)
					tally[b.endRestart(signal, part*time.Duration(i)+random(part))]++
				}
				tally[b.endRestart(unix.SIGKILL, 0)]++ // as soon as it has made anything
			}
			b.restart(b.statefile())
			b.judge()
			t.Logf("a whole restart takes %v; outcomes: %v", whole, tally)
		})
	}
}

// endRestart begins a restart, ends it, judges what is left, and brings the
// container back to where it was: checkpointed and killed.
func (b *box) endRestart(signal unix.Signal, after time.Duration) string {
	b.t.Helper()
	when := fmt.Sprintf("%s to lxc-restart %v after its begin", unix.SignalName(signal), after.Round(time.Microsecond))
	before := b.number()
	var stderr bytes.Buffer
	c := exec.Command(harness.Tool(b.t, "lxc-restart"), "--native", "--cgroup="+b.cgroup.Dir, "-n", "faults", "-S", b.statefile())
	c.Stderr = &stderr
	if err := c.Start(); err != nil {
		b.t.Fatal(err)
	}
	if time.Sleep(after); after == 0 {
		harness.Wait(time.Second, func() bool { return len(descendants(c.Process.Pid)) > 0 })
	}
	_ = c.Process.Signal(signal)
	_ = c.Wait()
	code, message := c.ProcessState.ExitCode(), stderr.String()
	if code == 0 {
		b.pids = b.now()
		b.goesOn(when)
		b.checkpoint("-S", b.statefile(), "-k")
		return "too late"
	}
	if code == 1 && (!strings.HasPrefix(message, "lxc-restart: interrupted by signal ") || !strings.HasSuffix(message, "; nothing was left running\n")) {
		b.t.Errorf("%s: it says %q", when, message)
	}
	if !harness.Wait(5*time.Second, func() bool { return len(b.now()) == 0 && reapOrphans() }) {
		left := children()
		for _, pid := range descendants(os.Getpid()) {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		b.t.Fatalf("%s: exit code %d, %s; processes are left: %v", when, code, message, left)
	}
	if now := b.number(); now != before {
		b.t.Errorf("%s: the container ran, from %d to %d", when, before, now)
	}
	if file, err := os.ReadFile(filepath.Join(b.tree.Dir, "result")); err == nil {
		b.t.Errorf("%s: the program says %s", when, file)
	}
	return "nothing left"
}

// reapOrphans takes the statuses of this process's children that have ended,
// and tells whether it has no others.
func reapOrphans() bool {
	for _, pid := range descendants(os.Getpid()) {
		if strings.HasPrefix(status(pid, "State"), "Z") {
			allGone([]int{pid})
		}
	}
	return len(descendants(os.Getpid())) == 0
}
