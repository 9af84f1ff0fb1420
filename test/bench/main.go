// Command bench measures how long a checkpoint and a restart take, beside what
// the machine itself needs for the same bytes and the same objects, in the same
// run. docs/benchmarks.md says what the tables mean.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/test/harness"
)

func main() {
	// What needs much memory is done by processes of their own: the peak that
	// the kernel tells of a command would include ours.
	var err error
	switch args := os.Args[1:]; {
	case len(args) == 2 && args[0] == "touch":
		err = touch(args[1])
	case len(args) == 3 && args[0] == "limits":
		err = printLimits(args[1], args[2])
	default:
		err = run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is one run of this program.
type bench struct {
	ctx      context.Context
	exe      string // this program
	dir      string // temporary, on the file system that is measured
	cgroups  int    // made so far, for their names
	rounds   int
	mebibyte int // size of the large cases
}

func run() (err error) {
	b := &bench{}
	where := flag.String("dir", os.TempDir(), "`directory` for the statefiles: its file system is measured")
	only := flag.String("only", "", "measure only these `cases`: heap,noise,family,processes,threads,descriptors,mappings")
	flag.IntVar(&b.rounds, "rounds", 3, "how often each case is measured")
	flag.IntVar(&b.mebibyte, "mib", 1024, "size of the memory cases, in MiB")
	flag.Parse()
	if flag.NArg() > 0 || b.rounds < 1 || b.mebibyte < 1 {
		flag.Usage()
		return errors.New("it takes options only, and numbers from 1")
	}
	for _, n := range []*need.Need{need.Root, need.Freezer, need.CC, need.LibC} {
		if err := n.Missing(); err != nil {
			return err
		}
	}
	if err := b.checkMemory(); err != nil {
		return err
	}
	var stop context.CancelFunc
	b.ctx, stop = signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	cases, err := choose(b.cases(), *only)
	if err != nil {
		return err
	}
	if b.exe, err = os.Executable(); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp(*where, "lxc-checkpoint-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir), leftovers()) }()
	machine := b.machine() // as quiet as it is before we come
	results, err := b.measure(cases)
	if b.ctx.Err() != nil {
		return errors.New("interrupted")
	}
	if err != nil {
		return err
	}
	fmt.Print(report(machine, results))
	return nil
}

func choose(all []*benchCase, only string) ([]*benchCase, error) {
	if only == "" {
		return all, nil
	}
	var chosen []*benchCase
	for name := range strings.SplitSeq(only, ",") {
		found := false
		for _, c := range all {
			if c.key == name {
				chosen, found = append(chosen, c), true
			}
		}
		if !found {
			return nil, fmt.Errorf("there is no case %q", name)
		}
	}
	return chosen, nil
}

// result is a case with a sample of each round.
type result struct {
	*benchCase
	samples []*sample
}

// measure takes the cases in turn, so that what disturbs the machine for some
// seconds does not disturb all rounds of one case.
func (b *bench) measure(cases []*benchCase) ([]*result, error) {
	var results []*result
	for _, c := range cases {
		if err := c.build(b.ctx, filepath.Join(b.dir, c.key)); err != nil {
			return nil, err
		}
		results = append(results, &result{benchCase: c})
	}
	for round := range b.rounds {
		for _, r := range results {
			s, err := b.round(r.benchCase)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", r.title, err)
			}
			r.samples = append(r.samples, s)
			fmt.Fprintf(os.Stderr, "round %d of %d, %s: stopped %v, restarted in %v\n",
				round+1, b.rounds, r.title, shown(s.dump.Stopped), shown(s.restartTook))
		}
	}
	return results, nil
}

func leftovers() error {
	if left := harness.Leftovers(); len(left) > 0 {
		return fmt.Errorf("left behind: %s", strings.Join(left, ", "))
	}
	return nil
}
