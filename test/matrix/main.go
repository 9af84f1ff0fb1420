// Command matrix runs the native loop on other kernels: it boots Debian's under
// QEMU's software emulation, which needs no KVM, and has the targets of
// test/targets checkpointed and restarted there, under the v2 freezer alone.
//
//	go run ./test/matrix [-run REGEXP] [-v] [KERNEL...]
//
// The kernels are 6.1, 6.12, arm64-6.1 and arm64-6.12; without a name all of
// them have their turn.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"lxc-checkpoint/internal/need"
)

func main() {
	m := &matrix{log: io.Discard}
	verbose := flag.Bool("v", false, "show the consoles of the guests")
	flag.StringVar(&m.pattern, "run", "", "only the tests that match, as go test -run has it")
	flag.Usage = func() {
		fmt.Fprintf(os.Stderr, "usage: go run ./test/matrix [-run REGEXP] [-v] [KERNEL...]\nThe kernels are %s.\n", names())
		flag.PrintDefaults()
	}
	flag.Parse()
	if *verbose {
		m.log = os.Stderr
	}
	chosen, err := choose(flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "matrix:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err = m.run(ctx, chosen)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "matrix:", err)
		os.Exit(1)
	}
}

// matrix is one run of this command.
type matrix struct {
	pattern string    // of tests
	log     io.Writer // for the consoles
	dir     string    // for what is built, removed in the end
	built   map[*arch]bool
}

// run boots one kernel after the other.
func (m *matrix) run(ctx context.Context, chosen []*kernel) (err error) {
	if m.dir, err = os.MkdirTemp("", "lxc-checkpoint-matrix-"); err != nil {
		return err
	}
	defer os.RemoveAll(m.dir)
	m.built = map[*arch]bool{}
	failed := 0
	for _, k := range chosen {
		if err := k.missing(); err != nil && !need.InCI() {
			fmt.Printf("SKIP %s: %v\n", k.name, err)
			continue
		} else if err != nil {
			return fmt.Errorf("kernel %s: %w (in CI nothing may be missing)", k.name, err)
		}
		r, err := m.try(ctx, k)
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		if err != nil {
			return fmt.Errorf("kernel %s: %w", k.name, err)
		}
		r.print(os.Stdout)
		if !r.well() {
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d kernels failed", failed, len(chosen))
	}
	return nil
}

// try runs the tests on one kernel.
func (m *matrix) try(ctx context.Context, k *kernel) (*result, error) {
	files, err := k.fetch(ctx)
	if err != nil {
		return nil, fmt.Errorf("get it: %w", err)
	}
	work := filepath.Join(m.dir, k.arch.name)
	if !m.built[k.arch] {
		if err := build(ctx, work, k.arch); err != nil {
			return nil, fmt.Errorf("build what runs on it: %w", err)
		}
		m.built[k.arch] = true
	}
	initramfs := filepath.Join(m.dir, k.name+".cpio")
	defer os.Remove(initramfs)
	arguments := []string{"-test.v=test2json", "-test.timeout=" + testLimit.String(), "-test.run=" + m.pattern}
	if err := writeInitramfs(initramfs, files, work, arguments); err != nil {
		return nil, fmt.Errorf("make its initramfs: %w", err)
	}
	r := &result{kernel: k.name}
	begin := time.Now()
	r.console, r.problem = boot(ctx, k.arch, files.image, initramfs, m.log)
	r.took = time.Since(begin)
	return r, r.read()
}
