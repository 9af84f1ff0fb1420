// Command matrix runs the native loop on other kernels: it boots Debian's under
// QEMU's software emulation, which needs no KVM, and has the targets of
// test/targets and programs of test/programs checkpointed and restarted there,
// under the v2 freezer alone.
//
//	go run ./test/matrix [-run REGEXP] [-limit DURATION] [-v] [KERNEL...]
//
// The kernels are 6.1, 6.12, arm64-6.1 and arm64-6.12; without a name all of
// them have their turn. Then images that were made on one of them are restarted
// on the others of the same CPU (-run TestTravel: only that). What is downloaded
// stays below the user's cache directory, nothing else stays anywhere.
//
// A command of ours takes an emulated CPU a second or more, so a kernel sees what
// tells it from others, and no more: each target is checkpointed with -k and
// restarted once, by eBPF and without it in turns, some are checkpointed before
// that while they go on (TestOnce of test/targets); each refusal is asked for
// once; the programs are treated as the targets are. Rounds, containers of LXC
// and other programs are for make test.
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
	"strings"
	"syscall"
	"time"

	"lxc-checkpoint/internal/need"
)

func main() {
	m := &matrix{log: io.Discard, built: map[*arch]bool{}}
	verbose := flag.Bool("v", false, "show the consoles of the guests")
	flag.StringVar(&m.pattern, "run", "", "only the tests that match, as go test -run has it")
	flag.DurationVar(&m.limit, "limit", 3*time.Hour, "how long a guest may live")
	flag.Usage = func() {
		fmt.Fprintf(os.Stderr, "usage: go run ./test/matrix [options] [KERNEL...]\nThe kernels are %s.\n", names())
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
	pattern string        // of tests
	limit   time.Duration // of a guest's life
	log     io.Writer     // for the consoles
	dir     string        // for what is built
	built   map[*arch]bool
}

// run has one kernel after the other try its hand.
func (m *matrix) run(ctx context.Context, chosen []*kernel) (err error) {
	if m.dir, err = os.MkdirTemp("", "lxc-checkpoint-matrix-"); err != nil {
		return err
	}
	defer os.RemoveAll(m.dir)
	failed := 0
	tries := m.tries(chosen)
	for _, try := range tries {
		r := try(ctx)
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		r.print(os.Stdout)
		if !r.well() {
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d failed", failed, len(tries))
	}
	return nil
}

// tries are each kernel by itself, then what goes from one to another.
func (m *matrix) tries(chosen []*kernel) (tries []func(context.Context) *result) {
	var present []*kernel
	for _, k := range chosen {
		if err := k.missing(); err != nil && !need.InCI() {
			fmt.Printf("SKIP %s: %v\n", k.name, err)
			continue
		}
		present = append(present, k)
		if m.pattern != travelTest {
			tries = append(tries, func(ctx context.Context) *result { return m.try(ctx, k) })
		}
	}
	if m.pattern != "" && m.pattern != travelTest {
		return tries
	}
	for _, from := range present {
		for _, to := range present {
			if from != to && from.arch == to.arch && from.arch.secondSerial {
				tries = append(tries, func(ctx context.Context) *result { return m.travel(ctx, from, to) })
			}
		}
	}
	return tries
}

// elsewhere are tests that a guest does not run by itself: TestTravel has a turn
// of its own, TestOnce stands for three others, and the last ones need programs
// that take an emulated CPU too long.
var elsewhere = []string{
	travelTest, "TestAlone", "TestKill", "TestLive", "TestContainer",
	"TestNode", "TestJVM", "TestMake", "TestNginx", "TestPostgres",
}

// try runs the tests on one kernel.
func (m *matrix) try(ctx context.Context, k *kernel) *result {
	r := &result{kernel: k.name}
	m.boot(ctx, r, k, &payload{pattern: m.pattern, skip: strings.Join(elsewhere, "|")})
	return r
}

// payload is what a guest gets besides what is built.
type payload struct {
	pattern, skip string  // of tests
	travel        *[]byte // what TestTravel has left; nil: it does not run
}

// boot boots a kernel with tests to run, and notes the result.
func (m *matrix) boot(ctx context.Context, r *result, k *kernel, p *payload, more ...string) {
	image, initramfs, err := m.prepare(ctx, k, p)
	if err != nil {
		r.problem = err
		return
	}
	defer os.Remove(initramfs)
	begin := time.Now()
	for range 3 {
		r.console, r.problem = boot(ctx, k.arch, image, initramfs, m.limit, m.log, more...)
		if !diedYoung(r.console) {
			break
		}
		fmt.Fprintf(os.Stderr, "matrix: %s: the kernel died while it booted: once more\n", k.name)
	}
	r.took += time.Since(begin)
	r.read()
}

// diedYoung tells whether a kernel came to its end before anything of ours ran:
// with several CPUs the emulator (QEMU 7.2) now and then has one of them execute
// what another is changing, its breakpoint included (text_poke_bp of Linux 6.12).
func diedYoung(console string) bool {
	return strings.Contains(console, "Kernel panic") && !strings.Contains(console, "matrix: kernel ")
}

// prepare returns a kernel's image and the file system that it unpacks.
func (m *matrix) prepare(ctx context.Context, k *kernel, p *payload) (image, initramfs string, err error) {
	if err := k.missing(); err != nil {
		return "", "", fmt.Errorf("%w (in CI nothing may be missing)", err)
	}
	files, err := k.fetch(ctx)
	if err != nil {
		return "", "", fmt.Errorf("get it: %w", err)
	}
	work := filepath.Join(m.dir, k.arch.name)
	if !m.built[k.arch] {
		if err := build(ctx, work, k.arch); err != nil {
			return "", "", fmt.Errorf("build what runs on it: %w", err)
		}
		m.built[k.arch] = true
	}
	// The tests end before the guest does, and then say where they stood.
	arguments := []string{
		"-test.v=test2json", "-test.timeout=" + (m.limit * 9 / 10).String(), "-test.run=" + p.pattern, "-test.skip=" + p.skip,
		"-test.parallel=3", // two CPUs, and some targets sleep
	}
	initramfs = filepath.Join(m.dir, k.name+".cpio")
	if err := writeInitramfs(initramfs, files, work, arguments, p.travel); err != nil {
		return "", "", fmt.Errorf("make its initramfs: %w", err)
	}
	return files.image(), initramfs, nil
}
