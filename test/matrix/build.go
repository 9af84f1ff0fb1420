package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/test/harness"
)

// build builds what runs in a guest into a directory that is laid out like the
// guest's /work: our commands in bin, the compiled tests of targets and programs
// in test/targets and test/programs, beside what they need of the sources there,
// the compiled targets in targets.
func build(ctx context.Context, dir string, a *arch) error {
	root := harness.Root()
	goBuild := func(args ...string) error {
		c := exec.CommandContext(ctx, "go", args...)
		c.Dir = root
		c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+a.name)
		return run(c)
	}
	if err := os.MkdirAll(filepath.Join(dir, "bin"), 0o755); err != nil {
		return err
	}
	if err := goBuild("build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(dir, "bin")+"/", "./cmd/..."); err != nil {
		return err
	}
	if err := goBuild("build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(dir, "targets", "server"), "./test/programs/server"); err != nil {
		return err
	}
	for _, tests := range []string{"test/targets", "test/programs"} {
		if err := os.CopyFS(filepath.Join(dir, tests), os.DirFS(filepath.Join(root, tests))); err != nil {
			return err
		}
		if err := goBuild("test", "-c", "-ldflags=-s -w", "-o", filepath.Join(dir, tests, "tests"), "./"+tests); err != nil {
			return err
		}
	}
	return compileTargets(ctx, a, filepath.Join(root, "test", "targets"), filepath.Join(dir, "targets"))
}

// compileTargets compiles the C targets as test/targets does, but stripped, on
// all cores.
func compileTargets(ctx context.Context, a *arch, from, to string) error {
	var sources []string
	for _, pattern := range []string{"c/*.c", "c/*/*.c"} {
		found, _ := filepath.Glob(filepath.Join(from, pattern))
		sources = append(sources, found...)
	}
	for _, source := range sources {
		name, _ := filepath.Rel(from, source)
		if err := os.MkdirAll(filepath.Join(to, filepath.Dir(name)), 0o755); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	work := make(chan string)
	var workers sync.WaitGroup
	for range runtime.NumCPU() {
		workers.Go(func() {
			for source := range work {
				name, _ := filepath.Rel(from, strings.TrimSuffix(source, ".c"))
				c := exec.CommandContext(ctx, a.cc, "-std=gnu17", "-O1", "-static", "-pthread", "-s", "-o", filepath.Join(to, name), source)
				if strings.HasPrefix(filepath.Base(name), "narrow_") { // 32-bit programs
					if a != amd64 || need.NarrowLibC.Missing() != nil {
						continue // they skip themselves
					}
					c.Args = append(c.Args, "-m32", "-isystem", "/usr/include/x86_64-linux-gnu")
				}
				if err := run(c); err != nil {
					cancel(err) // the first one counts
				}
			}
		})
	}
	for _, source := range sources {
		work <- source
	}
	close(work)
	workers.Wait()
	return context.Cause(ctx)
}
