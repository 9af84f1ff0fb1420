package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"lxc-checkpoint/dumper"
	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/restorer"
	"lxc-checkpoint/test/harness"
)

// sample is what one round has found.
type sample struct {
	limits  limits
	setup   time.Duration // the program took to make its objects; 0: it does not say
	dump    dumper.Stats
	restart restorer.Stats

	dumpTook, restartTook time.Duration // the whole command
	dumpPeak, restartPeak int64         // its memory at most, in bytes
	statefile             int64         // bytes
}

// round starts a container, measures the machine with it, checkpoints it with
// -k, restarts it, and has it see for itself that nothing is lost.
func (b *bench) round(c *benchCase) (s *sample, err error) {
	dir, err := os.MkdirTemp(b.dir, "round-")
	if err != nil {
		return nil, err
	}
	var tree *harness.Tree
	var cgroups []*harness.Cgroup
	defer func() {
		err = errors.Join(err, harness.Remove(tree, cgroups...), os.RemoveAll(dir))
	}()
	cgroup := func() (*harness.Cgroup, error) {
		b.cgroups++
		g, err := harness.NewCgroup(need.Freezers()[0], "bench-"+strconv.Itoa(b.cgroups))
		if err == nil {
			cgroups = append(cgroups, g)
		}
		return g, err
	}
	g, err := cgroup()
	if err != nil {
		return nil, err
	}
	if tree, err = harness.Start(dir, g, c.program); err != nil {
		return nil, err
	}
	s = &sample{}
	state := filepath.Join(dir, "state")
	for _, step := range []func() error{
		func() error { return s.awaitReady(tree) },
		func() error { return b.warm(4 * c.memory) },
		func() error { return b.limits(s, g, dir) },
		func() error { return b.warm(2 * c.memory) },
		func() error { return s.checkpoint(g, state) },
		func() error { return b.warm(2 * c.memory) },
		func() error {
			if g, err = cgroup(); err != nil {
				return err
			}
			tree.Move(g)
			return s.restore(g, state)
		},
		func() error { return judge(tree) },
	} {
		if err := b.ctx.Err(); err != nil {
			return nil, err
		}
		if err := step(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *sample) awaitReady(tree *harness.Tree) error {
	if _, err := tree.AwaitFile("ready", time.Minute); err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(tree.Dir, "setup"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	seconds, err := strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
	s.setup = time.Duration(seconds * float64(time.Second))
	return err
}

// warm touches memory and gives it back: a virtual machine may have handed it
// to its host, and to get it from there again is not what is measured.
func (b *bench) warm(bytes int64) error {
	_, err := b.self("touch", strconv.FormatInt(bytes, 10))
	return err
}

// limits measures the machine with what is in the container.
func (b *bench) limits(s *sample, g *harness.Cgroup, dir string) error {
	text, err := b.self("limits", g.Dir, dir)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, &s.limits)
}

// self runs this program for a part of the work.
func (b *bench) self(args ...string) ([]byte, error) {
	c := exec.CommandContext(b.ctx, b.exe, args...)
	c.Stderr = os.Stderr
	out, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", args[0], err)
	}
	return out, nil
}

func (s *sample) checkpoint(g *harness.Cgroup, file string) error {
	r, err := tool(&s.dump, "lxc-checkpoint", "--cgroup="+g.Dir, "-S", file, "-k", "--print-stats")
	if err != nil {
		return err
	}
	s.dumpTook, s.dumpPeak = r.Took, r.PeakMemory
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	s.statefile = info.Size()
	return nil
}

func (s *sample) restore(g *harness.Cgroup, file string) error {
	r, err := tool(&s.restart, "lxc-restart", "--native", "-n", "bench", "--cgroup="+g.Dir, "-S", file, "--print-stats")
	if err != nil {
		return err
	}
	s.restartTook, s.restartPeak = r.Took, r.PeakMemory
	return nil
}

// tool runs one of our commands and reads the figures that it prints.
func tool(stats any, name string, args ...string) (*harness.Result, error) {
	path, err := harness.FindTool(name)
	if err != nil {
		return nil, err
	}
	r, err := harness.Exec(nil, path, args...)
	if err != nil {
		return nil, err
	}
	if r.Code != 0 {
		return nil, errors.New(r.String())
	}
	if err := json.Unmarshal([]byte(r.Stderr), stats); err != nil {
		return nil, fmt.Errorf("%s: its figures can't be read: %w", r, err)
	}
	return r, nil
}

// judge asks the restarted program whether it finds everything as it was.
func judge(tree *harness.Tree) error {
	if err := tree.Trigger("go"); err != nil {
		return err
	}
	verdict, err := tree.AwaitFile("result", time.Minute)
	if err != nil {
		return fmt.Errorf("after the restart: %w", err)
	}
	if verdict != "pass" {
		return fmt.Errorf("after the restart: %s", verdict)
	}
	return nil
}
