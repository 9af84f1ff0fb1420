package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"

	"lxc-checkpoint/test/harness"
)

// benchCase is a container that is measured: a program of targets, and with
// what constants it is built.
type benchCase struct {
	key, title string
	source     string
	defines    []string
	memory     int64 // bytes, about
	program    string
}

func (b *bench) cases() []*benchCase {
	size := int64(b.mebibyte) << 20
	title := fmt.Sprintf("%d MiB", b.mebibyte)
	if b.mebibyte%1024 == 0 {
		title = fmt.Sprintf("%d GiB", b.mebibyte/1024)
	}
	mib := fmt.Sprintf("-DMIB=%d", b.mebibyte)
	return []*benchCase{
		{key: "heap", title: title + " like a heap", source: "memory.c", defines: []string{mib, "-DHEAP"}, memory: size},
		{key: "noise", title: title + " of noise", source: "memory.c", defines: []string{mib}, memory: size},
		{key: "family", title: "20 of one, " + title, source: "family.c", defines: []string{mib, "-DN=20"}, memory: size * 6 / 5},
		{key: "processes", title: "200 processes", source: "processes.c", defines: []string{"-DN=200"}, memory: 64 << 20},
		{key: "threads", title: "1,000 threads", source: "threads.c", defines: []string{"-DN=1000"}, memory: 64 << 20},
		{key: "descriptors", title: "5,000 descriptors", source: "descriptors.c", defines: []string{"-DN=5000"}, memory: 64 << 20},
		{key: "mappings", title: "20,000 mappings", source: "mappings.c", defines: []string{"-DN=20000"}, memory: 128 << 20},
	}
}

// build compiles the program. The protocol by which a target says that it is
// ready, and judges itself afterwards, is that of test/targets.
func (c *benchCase) build(ctx context.Context, program string) error {
	c.program = program
	test := filepath.Join(harness.Root(), "test")
	args := []string{"-std=gnu17", "-O2", "-Wall", "-Wextra", "-Werror", "-static", "-pthread",
		"-I" + filepath.Join(test, "targets/c"), "-o", program}
	args = append(append(args, c.defines...), filepath.Join(test, "bench/targets", c.source))
	if out, err := exec.CommandContext(ctx, "gcc", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("gcc %s: %w\n%s", c.source, err, out)
	}
	return nil
}
