// Command demo shows the main job without LXC: it starts a small container of
// its own making, checkpoints it, kills it, looks into the statefile, restarts
// it, and shows that its counters go on where they stopped.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/test/harness"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == "container" {
		container()
		return
	}
	if err := demo(); err != nil {
		fmt.Fprintln(os.Stderr, "\ndemo:", err)
		os.Exit(1)
	}
}

func demo() (err error) {
	for _, n := range []*need.Need{need.Root, need.Freezer} {
		if err := n.Missing(); err != nil {
			return err
		}
	}
	s, err := begin()
	if err != nil {
		return err
	}
	defer func() {
		if e := s.end(); e != nil && err == nil {
			err = e
		}
	}()
	for _, step := range []func() error{s.show, s.checkpoint, s.look, s.restart, s.compare} {
		if err := step(); err != nil {
			return err
		}
	}
	say("That is the whole loop. With LXC it is lxc-checkpoint -n NAME and lxc-restart -n NAME: see README.md.")
	return nil
}

// session is what the steps hand on.
type session struct {
	dir, state string
	tree       *harness.Tree
	cgroups    []*harness.Cgroup
	before     map[string]int // where the counters stood
}

// counters are the files that the container's processes count in.
var counters = []string{"go.count", "shell.count"}

func begin() (*session, error) {
	say("1. A small container: a Go program and a shell, each counting, in namespaces and a cgroup of their own")
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &session{before: map[string]int{}}
	if s.dir, err = os.MkdirTemp("", "lxc-checkpoint-demo-"); err != nil {
		return nil, err
	}
	s.state = filepath.Join(s.dir, "demo.state")
	g, err := s.cgroup("before")
	if err == nil {
		s.tree, err = harness.Start(s.dir, g, exe, "container")
	}
	for _, name := range counters {
		if err == nil {
			_, err = s.tree.AwaitFile(name, 10*time.Second)
		}
	}
	if err != nil {
		_ = s.end()
		return nil, err
	}
	time.Sleep(time.Second)
	return s, nil
}

func (s *session) cgroup(name string) (*harness.Cgroup, error) {
	g, err := harness.NewCgroup(need.Freezers()[0], "demo-"+name)
	if err == nil {
		s.cgroups = append(s.cgroups, g)
	}
	return g, err
}

func (s *session) end() error {
	err := harness.Remove(s.tree, s.cgroups...)
	if e := os.RemoveAll(s.dir); err == nil {
		err = e
	}
	return err
}

func (s *session) show() error {
	for _, pid := range s.tree.Cgroup.Processes() {
		args, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		threads, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
		fmt.Printf("   process %d, %d threads: %.60s\n", pid, len(threads), strings.TrimSpace(strings.ReplaceAll(string(args), "\x00", " ")))
	}
	return s.counts()
}

// counts shows where the counters stand, and fails if one counted wrong.
func (s *session) counts() error {
	for _, name := range counters {
		n, err := count(filepath.Join(s.dir, name))
		if err != nil {
			return err
		}
		fmt.Printf("   %s stands at %d\n", name, n)
		s.before[name] = n
	}
	return nil
}

func (s *session) checkpoint() error {
	say("2. Its state goes into a file, and it is killed")
	if err := command("lxc-checkpoint", "--cgroup="+s.tree.Cgroup.Dir, "-S", s.state, "-k"); err != nil {
		return err
	}
	if err := s.tree.Pids(0, 5*time.Second); err != nil {
		return err
	}
	info, err := os.Stat(s.state)
	if err != nil {
		return err
	}
	fmt.Printf("   %s has %.1f MiB; no process is left; the counters stand still:\n", filepath.Base(s.state), float64(info.Size())/(1<<20))
	time.Sleep(time.Second)
	return s.counts()
}

func (s *session) look() error {
	say("3. What is in the file")
	if err := command("lxc-statefile", "show", s.state); err != nil {
		return err
	}
	return command("lxc-statefile", "verify", s.state)
}

func (s *session) restart() error {
	say("4. From the file, the container comes back")
	g, err := s.cgroup("after")
	if err != nil {
		return err
	}
	s.tree.Move(g)
	return command("lxc-restart", "--native", "-n", "demo", "--cgroup="+g.Dir, "-S", s.state)
}

func (s *session) compare() error {
	time.Sleep(time.Second)
	stood := s.before
	s.before = map[string]int{}
	if err := s.show(); err != nil {
		return err
	}
	for _, name := range counters {
		if s.before[name] <= stood[name] {
			return fmt.Errorf("%s does not go on: it stands at %d", name, s.before[name])
		}
	}
	fmt.Println("   Every number from 1 on is there, once: none was lost, none came twice.")
	return nil
}

// command shows a command line, runs it, and shows what it wrote and how long
// it took.
func command(tool string, args ...string) error {
	path, err := harness.FindTool(tool)
	if err != nil {
		return err
	}
	fmt.Printf("   # %s %s\n", tool, strings.Join(args, " "))
	r, err := harness.Exec(nil, path, args...)
	if err != nil {
		return err
	}
	for line := range strings.Lines(r.Stdout + r.Stderr) {
		fmt.Print("   | ", line)
	}
	if r.Code != 0 {
		return fmt.Errorf("%s: exit code %d", tool, r.Code)
	}
	fmt.Printf("   (%v)\n", r.Took.Round(time.Millisecond))
	return nil
}

func say(line string) { fmt.Printf("\n%s\n", line) }
