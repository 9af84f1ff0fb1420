// Command matrix runs the native loop on other kernels: it boots Debian's under
// QEMU's software emulation, which needs no KVM, and has the targets of
// test/targets checkpointed and restarted there.
//
//	go run ./test/matrix [-run REGEXP] [KERNEL...]
//
// A kernel is named 6.1, 6.12, arm64-6.1 or arm64-6.12; without a name all of
// them have their turn.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"lxc-checkpoint/internal/need"
)

func main() {
	run := flag.String("run", "", "only the tests that match, as go test -run has it")
	flag.Usage = func() {
		fmt.Fprintf(os.Stderr, "usage: go run ./test/matrix [-run REGEXP] [KERNEL...]\nkernels: %s\n", names())
		flag.PrintDefaults()
	}
	flag.Parse()
	chosen, err := choose(flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "matrix:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if !matrix(ctx, chosen, *run) {
		os.Exit(1)
	}
}

// matrix tells whether all went well on every kernel.
func matrix(ctx context.Context, chosen []*kernel, run string) bool {
	well := true
	for _, k := range chosen {
		if err := missing(k); err != nil {
			fmt.Printf("SKIP %s: %v\n", k.name, err)
			well = well && !need.InCI()
			continue
		}
		r, err := try(ctx, k, run)
		if err != nil {
			fmt.Printf("FAIL %s: %v\n", k.name, err)
			well = false
		} else {
			r.print(os.Stdout, k.name)
			well = well && r.well()
		}
		if ctx.Err() != nil {
			return false
		}
	}
	return well
}

func missing(k *kernel) error {
	for _, n := range k.needs() {
		if err := n.Missing(); err != nil {
			return err
		}
	}
	return nil
}

// try boots one kernel. Nothing of what it makes stays behind but the cache of
// downloads.
func try(ctx context.Context, k *kernel, run string) (*result, error) {
	dir, err := os.MkdirTemp("", "lxc-checkpoint-matrix-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	files, err := k.fetch(ctx)
	if err != nil {
		return nil, fmt.Errorf("get it: %w", err)
	}
	if err := build(ctx, dir, k.arch); err != nil {
		return nil, fmt.Errorf("build what runs in it: %w", err)
	}
	initrd, err := writeInitramfs(dir, files, run)
	if err != nil {
		return nil, fmt.Errorf("make its initramfs: %w", err)
	}
	return boot(ctx, k, files.image, initrd)
}
