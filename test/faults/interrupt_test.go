package faults

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/test/harness"
)

// TestInterrupted ends lxc-checkpoint at random instants in every way that
// there is: the container is never half-killed and goes on, by itself or, after
// kill -9, when its cgroup is thawed; under FILE's name there never is anything
// incomplete.
func TestInterrupted(t *testing.T) {
	for name, hierarchy := range hierarchies(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBox(t, hierarchy, "ring", harness.Rounds(256, 1024))
			begin := time.Now()
			b.checkpoint("-S", filepath.Join(t.TempDir(), "whole"))
			s := &strikes{box: b, whole: time.Since(begin), tally: map[string]int{}}
			// Of each way, with -k and without: 100 for both freezers together.
			rounds := harness.Rounds(1, 25)
			for _, w := range ways {
				for i := range rounds {
					for _, kill := range []bool{false, true} {
						s.round(&attempt{way: w, kill: kill}, func(a *attempt) string { return s.instant(a, i, rounds) })
					}
				}
			}
			b.judge()
			t.Logf("a whole checkpoint takes %v; outcomes: %v", s.whole, s.tally)
		})
	}
}

// TestEndedWhileLooking is about the moments in which lxc-checkpoint has tasks
// make system calls for it: they are few in a checkpoint of much memory.
func TestEndedWhileLooking(t *testing.T) {
	for name, hierarchy := range hierarchies(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBox(t, hierarchy, "ring", 4)
			s := &strikes{box: b, tally: map[string]int{}}
			for i := range harness.Rounds(12, 200) {
				s.round(&attempt{way: ways[i%3]}, func(a *attempt) string {
					s.spin(a, func() bool { return s.cgroup.Frozen() || status(s.pids[0], "TracerPid") != "0" })
					return s.pause(a, random(20*time.Millisecond), "after the freeze")
				})
			}
			b.judge()
			t.Logf("outcomes: %v", s.tally)
		})
	}
}

// way is how lxc-checkpoint is ended.
type way struct {
	name   string
	signal unix.Signal // 0: its terminal is closed
	// inShell: in the terminal it is a shell's foreground job, and leads the
	// session itself otherwise.
	inShell bool
}

var ways = []way{
	{"kill -9", unix.SIGKILL, false},
	{"TERM", unix.SIGTERM, false},
	{"INT", unix.SIGINT, false},
	{"closed terminal", 0, false},
	{"closed terminal of a shell", 0, true},
}

// undoes tells whether lxc-checkpoint can undo what it did.
func (w way) undoes() bool { return w.signal != unix.SIGKILL }

// strikes is a series of checkpoints that are ended.
type strikes struct {
	*box
	whole time.Duration // what one takes that is not ended
	tally map[string]int
}

// attempt is one of them.
type attempt struct {
	way    way
	kill   bool        // lxc-checkpoint -k
	older  os.FileInfo // of what was under FILE's name before; nil: nothing
	cmd    *exec.Cmd
	master *os.File // of its terminal
	stderr bytes.Buffer
	ended  chan struct{}
}

const olderText = "an older one\n"

// round begins a checkpoint, ends it at the instant that await waits for, and
// judges what is left.
func (s *strikes) round(a *attempt, await func(*attempt) string) {
	s.t.Helper()
	if rand.IntN(2) == 0 {
		if err := os.WriteFile(s.statefile(), []byte(olderText), 0o600); err != nil {
			s.t.Fatal(err)
		}
		a.older, _ = os.Stat(s.statefile())
	}
	s.start(a)
	when := fmt.Sprintf("%s, -k %v, %s", a.way.name, a.kill, await(a))
	pids := descendants(a.cmd.Process.Pid)
	a.strike()
	pids = append(pids, descendants(a.cmd.Process.Pid)...)
	if !harness.Wait(30*time.Second, func() bool { return a.hasEnded() && allGone(pids) }) {
		_ = a.cmd.Process.Kill()
		s.t.Fatalf("%s: lxc-checkpoint has not ended 30 s later", when)
	}
	s.judgeEnd(a, when)
	s.tally[s.outcome(a, when)]++
	if s.t.Failed() {
		s.t.FailNow()
	}
	_ = os.Remove(s.statefile())
}

// start starts lxc-checkpoint, in a terminal of its own if that is to close.
func (s *strikes) start(a *attempt) {
	s.t.Helper()
	args := s.args("-S", s.statefile())
	if a.kill {
		args = append(args, "-k")
	}
	a.cmd = exec.Command(harness.Tool(s.t, "lxc-checkpoint"), args...)
	if a.way.inShell {
		// Not its last command: the shell would replace itself by it.
		a.cmd = exec.Command("/bin/sh", append([]string{"-c", `"$0" "$@"; exit $?`, a.cmd.Path}, args...)...)
	}
	a.cmd.Stderr = &a.stderr
	if a.way.signal == 0 {
		master, slave, err := openTerminal()
		if err != nil {
			s.t.Fatal(err)
		}
		defer slave.Close()
		a.master = master
		a.cmd.Stdin, a.cmd.Stdout, a.cmd.Stderr = slave, slave, slave
		a.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	}
	if err := a.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	a.ended = make(chan struct{})
	go func() {
		_ = a.cmd.Wait()
		close(a.ended)
	}()
}

func (a *attempt) hasEnded() bool {
	select {
	case <-a.ended:
		return true
	default:
		return false
	}
}

func (a *attempt) strike() {
	if a.way.signal == 0 {
		_ = a.master.Close()
	} else {
		_ = a.cmd.Process.Signal(a.way.signal) // it may have ended by now
	}
}

// instant waits for a random instant: mostly one of the whole duration, of
// which the rounds have a part each; else just after the freeze, or just after
// FILE is there. It says which.
func (s *strikes) instant(a *attempt, i, rounds int) string {
	switch rand.IntN(4) {
	case 0:
		s.spin(a, s.cgroup.Frozen)
		return s.pause(a, random(20*time.Millisecond), "after the freeze")
	case 1:
		s.spin(a, func() bool { return s.isNew(a) })
		return s.pause(a, random(5*time.Millisecond), "after FILE's appearance")
	}
	part := s.whole * 11 / 10 / time.Duration(rounds)
	return s.pause(a, part*time.Duration(i)+random(part), "after the begin")
}

func random(most time.Duration) time.Duration { return rand.N(most + 1) }

func (s *strikes) pause(a *attempt, d time.Duration, after string) string {
	end := time.Now().Add(d)
	s.spin(a, func() bool { return time.Now().After(end) })
	return fmt.Sprintf("%v %s", d.Round(time.Microsecond), after)
}

// spin waits until something is so, to some microseconds, or lxc-checkpoint has
// ended.
func (s *strikes) spin(a *attempt, so func() bool) {
	for !so() && !a.hasEnded() {
		time.Sleep(20 * time.Microsecond)
	}
}

// isNew tells whether there is a new file under FILE's name.
func (s *strikes) isNew(a *attempt) bool {
	now, err := os.Stat(s.statefile())
	return err == nil && (a.older == nil || !os.SameFile(a.older, now))
}

// judgeEnd judges the exit code and the message, where there was somebody left
// to read it. A signal that comes before the command listens just ends it.
func (s *strikes) judgeEnd(a *attempt, when string) {
	s.t.Helper()
	if a.way.signal == 0 || !a.way.undoes() {
		return
	}
	message := a.stderr.String()
	switch code := a.cmd.ProcessState.ExitCode(); code {
	case 0, -1:
		if message != "" {
			s.t.Errorf("%s: exit code %d, and it says %q", when, code, message)
		}
	case 1:
		if !strings.HasPrefix(message, "lxc-checkpoint: interrupted by signal ") || strings.Count(message, "\n") != 1 ||
			!strings.Contains(message, " still runs; ") {
			s.t.Errorf("%s: exit code 1, and it says %q", when, message)
		}
	default:
		s.t.Errorf("%s: exit code %d: %s", when, code, message)
	}
}

// outcome judges what is left and says in a word how it went.
func (s *strikes) outcome(a *attempt, when string) string {
	s.t.Helper()
	complete := s.judgeFiles(a, when)
	if a.kill && complete && s.isGone() {
		s.restart(s.statefile())
		s.goesOn(when + ", after the restart")
		return "killed and restarted"
	}
	if len(s.now()) == 0 {
		s.t.Fatalf("%s: the container is gone (-k %v, the statefile is complete: %v)", when, a.kill, complete)
	}
	return s.survived(a, complete, when)
}

// judgeFiles looks at what is in the directory and tells whether there is a new
// statefile.
func (s *strikes) judgeFiles(a *attempt, when string) (complete bool) {
	s.t.Helper()
	if complete = s.isNew(a); complete {
		s.verify(when, s.statefile())
	} else if a.older != nil {
		if text, err := os.ReadFile(s.statefile()); err != nil || string(text) != olderText {
			s.t.Errorf("%s: the older file has %q, %v", when, text, err)
		}
	}
	// Where there is an older file, the new one has another name for an
	// instant before it replaces it: kill -9 may leave that.
	temporary, _ := filepath.Glob(filepath.Join(s.states, ".state.*.tmp"))
	if !a.way.undoes() && a.older != nil && len(temporary) == 1 {
		_ = os.Remove(temporary[0])
	}
	if complete || a.older != nil {
		s.files(when, s.states, "state")
	} else {
		s.files(when, s.states)
	}
	return complete
}

// isGone tells whether the container was killed, which takes it a moment. A
// container that was not counts on.
func (s *strikes) isGone() bool {
	const laps = 20 // more than one that is being killed can make
	gone, before := false, s.number()
	harness.Wait(5*time.Second, func() bool {
		gone = len(s.now()) == 0
		return gone || s.number() > before+4*laps
	})
	return gone
}

// survived judges a container that was not killed.
func (s *strikes) survived(a *attempt, complete bool, when string) string {
	s.t.Helper()
	outcome := "ended in time"
	if complete {
		outcome = "too late"
	}
	if s.cgroup.Frozen() {
		if a.way.undoes() {
			s.t.Errorf("%s: the container is frozen", when)
		}
		outcome += ", frozen"
		if err := s.thaw(); err != nil {
			s.t.Fatalf("%s: %v", when, err)
		}
	}
	s.goesOn(when)
	return outcome
}
