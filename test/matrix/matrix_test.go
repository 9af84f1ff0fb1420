package main

import (
	"bytes"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"lxc-checkpoint/internal/need"
)

// A console as a guest writes it, with a word of the kernel's between.
const console = "\x1b[H\nmatrix: kernel 6.1.0-56-cloud-amd64\n" +
	"\x16=== RUN   TestOnce\n" +
	"\x16=== RUN   TestOnce/good\n\x16=== PAUSE TestOnce/good\n" +
	"\x16=== RUN   TestOnce/bad\n\x16=== PAUSE TestOnce/bad\n" +
	"\x16=== RUN   TestOnce/lacking\n\x16=== PAUSE TestOnce/lacking\n" +
	"\x16=== RUN   TestOnce/endless\n\x16=== PAUSE TestOnce/endless\n" +
	"\x16=== CONT  TestOnce/good\n" +
	"\x16=== CONT  TestOnce/bad\n" +
	"\x16=== NAME  TestOnce/bad\n    run_test.go:7: afterwards: fail: a count is wrong\n" +
	"[   12.345678] some words of the kernel\n" +
	"\x16--- FAIL: TestOnce/bad (0.25s)\n" +
	"\x16=== NAME  TestOnce/lacking\n    run_test.go:8: this kernel has no such thing\n" +
	"\x16--- SKIP: TestOnce/lacking (0.01s)\n" +
	"\x16--- PASS: TestOnce/good (1.50s)\n" +
	"\x16=== CONT  TestOnce/endless\n"

func TestRead(t *testing.T) {
	r := &result{kernel: "6.1", console: console}
	if r.read(); r.well() {
		t.Error("a failed test is no failure")
	}
	var said strings.Builder
	r.print(&said)
	for _, want := range []string{
		"FAIL 6.1 TestOnce/bad\n    run_test.go:7: afterwards: fail: a count is wrong\n",
		"FAIL 6.1 TestOnce/endless: it did not end\n",
		"SKIP 6.1 lacking (TestOnce): this kernel has no such thing\n",
		"FAIL 6.1 (Linux 6.1.0-56-cloud-amd64): 3 ran: 1 passed (1 targets came back), 2 failed; 1 skipped; 0 s\n",
	} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("%q is missing in:\n%s", want, &said)
		}
	}
}

// TestBroken: what looks well only at first.
func TestBroken(t *testing.T) {
	pass := "\x16=== RUN   TestOnce/good\n\x16--- PASS: TestOnce/good (1.50s)\n\x16PASS\n"
	for what, console := range map[string]string{
		"no test ran":                    "matrix: kernel 6.1\nmatrix: exit 0\n",
		"the whole failed":               "matrix: kernel 6.1\n" + pass + "matrix: exit 1\n",
		"the tests came to no exit code": "matrix: kernel 6.1\n" + pass,
	} {
		r := &result{kernel: "6.1", console: console}
		if r.read(); r.well() {
			t.Errorf("%s, and that is taken for good", what)
		}
	}
	r := &result{kernel: "6.1", console: "matrix: kernel 6.1\n" + pass + "matrix: exit 0\n"}
	if r.read(); !r.well() {
		t.Errorf("all is good, but: %v", r.problem)
	}
}

// TestArchive has cpio unpack what a kernel is to unpack.
func TestArchive(t *testing.T) {
	busybox := need.Program("busybox")
	need.Check(t, busybox)
	var b bytes.Buffer
	a := &archive{w: &b}
	a.directory("work")
	want := fstest.MapFS{"a/odd": {Data: []byte("seven b"), Mode: 0o755}, "empty": {Mode: 0o600}}
	tree := fstest.MapFS{"a/link": {Data: []byte("odd"), Mode: fs.ModeSymlink | 0o777}}
	maps.Copy(tree, want)
	if err := addTree(a, "work", tree); err != nil {
		t.Fatal(err)
	}
	if err := a.close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	c := exec.Command("busybox", "cpio", "-i", "-d")
	c.Dir, c.Stdin = dir, &b
	if err := run(c); err != nil {
		t.Fatal(err)
	}
	if target, err := os.Readlink(filepath.Join(dir, "work/a/link")); err != nil || target != "odd" {
		t.Errorf("the link leads to %q, %v", target, err)
	}
	for name, file := range want {
		path := filepath.Join(dir, "work", name)
		got, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, file.Data) {
			t.Errorf("%s: %q, %v; want %q", name, got, err, file.Data)
		}
		if s, err := os.Stat(path); err == nil && s.Mode() != file.Mode {
			t.Errorf("%s: mode %v, want %v", name, s.Mode(), file.Mode)
		}
	}
}
