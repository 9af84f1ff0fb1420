package lxc

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/test/harness"
)

// box is a container of stock LXC, driven by LXC's own commands.
type box struct {
	t      *testing.T
	name   string
	path   string // lxcpath
	rootfs string
	states string // directory of statefiles
}

// made is how many boxes there have been: two at a time need two names, since LXC
// names cgroups by them.
var made atomic.Int32

// newBox makes a directory for a container; create or config fills it. What is
// left of the container goes when the test ends.
func newBox(t *testing.T, name string) *box {
	t.Helper()
	need.Check(t, need.Root, need.LXC, need.Freezer)
	harness.KeepInherited()
	path, err := os.MkdirTemp("/var/tmp", "lxc-checkpoint-test-")
	if err != nil {
		t.Fatal(err)
	}
	b := &box{t: t, name: fmt.Sprintf("%s-%d-%d", name, os.Getpid(), made.Add(1)), path: path, states: filepath.Join(path, "states")}
	b.rootfs = filepath.Join(path, b.name, "rootfs")
	t.Cleanup(func() {
		b.destroy()
		if err := os.RemoveAll(path); err != nil {
			t.Error(err)
		}
	})
	if err := os.Mkdir(b.states, 0o755); err != nil {
		t.Fatal(err)
	}
	return b
}

// destroy ends the container whatever state it is in, and looks for leftovers.
func (b *box) destroy() {
	b.t.Helper()
	if b.t.Failed() {
		b.t.Logf("at the failure: %v", b.lxc("lxc-info"))
	}
	if b.state() == "FROZEN" {
		b.lxc("lxc-unfreeze")
	}
	if b.state() != "STOPPED" {
		b.lxc("lxc-stop", "-k")
	}
	if left := b.leftovers(); len(left) > 0 {
		b.t.Errorf("left behind: %s", strings.Join(left, ", "))
		for _, hierarchy := range cgroupMounts() {
			for _, dir := range b.cgroups(hierarchy) {
				if err := (&harness.Cgroup{Dir: dir}).Remove(); err != nil {
					b.t.Log(err)
				}
			}
		}
	}
}

// leftovers lists cgroups, mounts and processes that are still there though the
// container is stopped.
func (b *box) leftovers() []string {
	var left []string
	harness.Wait(5*time.Second, func() bool {
		left = nil
		for _, hierarchy := range cgroupMounts() {
			left = append(left, b.cgroups(hierarchy)...)
		}
		if mounts, err := os.ReadFile("/proc/self/mounts"); err == nil && bytes.Contains(mounts, []byte(b.path)) {
			left = append(left, "a mount below "+b.path)
		}
		for _, p := range processes() {
			if strings.Contains(p.args, b.path) && strings.Contains(p.args, b.name) && p.pid != os.Getpid() {
				left = append(left, fmt.Sprintf("process %d: %.80s", p.pid, p.args))
			}
		}
		return len(left) == 0
	})
	return left
}

func (b *box) cgroups(hierarchy string) []string {
	found, _ := filepath.Glob(filepath.Join(hierarchy, "lxc.*."+b.name+"*"))
	return found
}

func cgroupMounts() []string {
	var dirs []string
	text, _ := os.ReadFile("/proc/self/mounts")
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 2 && strings.HasPrefix(f[2], "cgroup") {
			dirs = append(dirs, f[1])
		}
	}
	return dirs
}

type process struct {
	pid  int
	args string
}

func processes() []process {
	var all []process
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			args, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
			all = append(all, process{pid, strings.TrimSpace(strings.ReplaceAll(string(args), "\x00", " "))})
		}
	}
	return all
}

// lxc runs one of LXC's commands on the container.
func (b *box) lxc(command string, args ...string) *harness.Result {
	b.t.Helper()
	return harness.Run(b.t, command, append([]string{"-P", b.path, "-n", b.name}, args...)...)
}

// must runs one that has to succeed, and returns what it wrote.
func (b *box) must(command string, args ...string) string {
	b.t.Helper()
	r := b.lxc(command, args...)
	if r.Code != 0 {
		b.t.Fatal(r)
	}
	return strings.TrimSpace(r.Stdout)
}

func (b *box) start() {
	b.t.Helper()
	log := filepath.Join(b.path, "start.log")
	if r := b.lxc("lxc-start", "-o", log, "-l", "WARN"); r.Code != 0 {
		text, _ := os.ReadFile(log)
		b.t.Fatalf("%v%s", r, text)
	}
}

func (b *box) state() string {
	b.t.Helper()
	return strings.TrimSpace(b.lxc("lxc-info", "-sH").Stdout)
}

func (b *box) expect(state string) {
	b.t.Helper()
	if now := b.state(); now != state {
		b.t.Fatalf("lxc-info says %s; it should be %s", now, state)
	}
}

// attach runs a command inside the container.
func (b *box) attach(args ...string) string {
	b.t.Helper()
	return b.must("lxc-attach", append([]string{"--"}, args...)...)
}

// edit changes a file of the container's directory.
func (b *box) edit(file, old, new string) {
	b.t.Helper()
	path := filepath.Join(b.path, b.name, file)
	text, err := os.ReadFile(path)
	if err != nil {
		b.t.Fatal(err)
	}
	write(b.t, path, strings.ReplaceAll(string(text), old, new))
}

// statefile is a path for a statefile of this container.
func (b *box) statefile(name string) string { return filepath.Join(b.states, name) }

// checkpoint runs lxc-checkpoint, which has to succeed silently.
func (b *box) checkpoint(args ...string) {
	b.t.Helper()
	harness.Silent(b.t, "lxc-checkpoint", append([]string{"-P", b.path, "-n", b.name}, args...)...)
}

// restart runs lxc-restart, which has to succeed silently.
func (b *box) restart(args ...string) {
	b.t.Helper()
	harness.Silent(b.t, "lxc-restart", append([]string{"-P", b.path, "-n", b.name}, args...)...)
}

// tool runs one of our commands on the container, whatever comes of it.
func (b *box) tool(command string, args ...string) *harness.Result {
	b.t.Helper()
	return harness.Run(b.t, harness.Tool(b.t, command), append([]string{"-P", b.path, "-n", b.name}, args...)...)
}

// ps is what runs in the container as it sees itself: pid, parent, name of
// each process and its threads' ids, in order.
func (b *box) ps() []string {
	b.t.Helper()
	var lines []string
	init, _ := strconv.Atoi(b.must("lxc-info", "-pH"))
	for _, pid := range descendants(init) {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil || strings.Contains(string(status), "\nState:\tZ") {
			continue
		}
		name, inside := field(status, "Name"), last(field(status, "NSpid"))
		if name == "sleep" || isFork(status) {
			continue // a counter's sleep, or a fork of it that is about to become one
		}
		var tids []string
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
		for _, task := range tasks {
			text, _ := os.ReadFile(task)
			tids = append(tids, last(field(text, "NSpid"))+":"+field(text, "Name"))
		}
		lines = append(lines, fmt.Sprintf("%s %s group %s session %s [%s]", inside, name,
			last(field(status, "NSpgid")), last(field(status, "NSsid")), strings.Join(tids, " ")))
	}
	slices.Sort(lines)
	return lines
}

// isFork tells whether a process is a shell's that has not become another
// program yet: it is in its parent's process group.
func isFork(status []byte) bool {
	parent, err := os.ReadFile("/proc/" + field(status, "PPid") + "/status")
	return err != nil || field(parent, "NSpgid") == field(status, "NSpgid")
}

func descendants(pid int) []int {
	all := []int{pid}
	children, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, file := range children {
		text, _ := os.ReadFile(file)
		for word := range strings.FieldsSeq(string(text)) {
			if child, err := strconv.Atoi(word); err == nil {
				all = append(all, descendants(child)...)
			}
		}
	}
	return all
}

func field(status []byte, name string) string {
	for line := range strings.Lines(string(status)) {
		if key, value, ok := strings.Cut(line, ":"); ok && key == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func last(words string) string {
	f := strings.Fields(words)
	if len(f) == 0 {
		return ""
	}
	return f[len(f)-1]
}
