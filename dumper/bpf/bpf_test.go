package bpf_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"lxc-checkpoint/container"
	"lxc-checkpoint/dumper/bpf"
	"lxc-checkpoint/dumper/memory"
	"lxc-checkpoint/dumper/namespaces"
	"lxc-checkpoint/dumper/ptrace"
	"lxc-checkpoint/dumper/tasks"
	"lxc-checkpoint/dumper/view"
	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/test/harness"
	"lxc-checkpoint/tracee"
)

// TestTellersAgree holds a program with something of everything, has both
// tellers tell of it, and compares what the image would hold.
func TestTellersAgree(t *testing.T) {
	need.Check(t, need.Root, need.Freezer, need.BTF, need.CC, need.LibC)
	teller, err := bpf.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer teller.Close()
	c := start(t)
	held, err := ptrace.Hold(t.Context(), c, nil, harness.Patience(10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		held.Release(&err)
		if err != nil {
			t.Error(err)
		}
	}()
	var pids []int
	for _, p := range held.Processes() {
		pids = append(pids, p.PID)
	}
	facts, err := teller.Tasks(pids)
	if err != nil {
		t.Fatal(err)
	}
	if len(facts) != 4 {
		t.Errorf("it tells of %d tasks, not of 4", len(facts))
	}
	told := map[uint32]memory.Facts{}
	asked := look(t, held, tasks.Options{Ask: func(o tasks.Object, r *tracee.Remote) (err error) {
		told[o.ID], err = memory.Ask(r)
		return err
	}})
	read := look(t, held, tasks.Options{Facts: facts})
	for i, a := range asked {
		r := read[i]
		for what, m := range map[string][2]proto.Message{"process": {a.Process, r.Process}, "signal actions": {a.Sighand, r.Sighand}} {
			if !proto.Equal(m[0], m[1]) {
				t.Errorf("%s, asked:\n%s\nread:\n%s", what, prototext.Format(m[0]), prototext.Format(m[1]))
			}
		}
		f := facts[int(a.HostPid)]
		if want := told[a.Mm]; want.Brk != f.Brk || want.Dumpable != f.Dumpable {
			t.Errorf("process %d: asked %+v, read brk %#x, dumpable %d", a.Pid, want, f.Brk, f.Dumpable)
		}
	}
	compareNamespaces(t, held, facts)
	for tid, f := range facts {
		// Only who has set a mode has to be asked.
		own := runtime.GOARCH == "amd64" && procfs.ReadComm(tid) == `back\slash`
		if f.Unusual != own {
			t.Errorf("task %d: it may have set how it uses the CPU: %v, not %v", tid, f.Unusual, own)
		}
	}
	if a := asked[0]; !a.ChildSubreaper || len(a.PosixTimers) != 1 || len(a.Timers) != 2 || a.Sighand == nil || len(a.Sighand.Actions) < 3 {
		t.Errorf("the program is not as it should be: %s", prototext.Format(a))
	}
}

// compareNamespaces compares namespaces and cgroups, read for each task, with those
// read once for all that share them.
func compareNamespaces(t *testing.T, held *ptrace.Held, facts map[int]*view.TaskFacts) {
	t.Helper()
	var processes []namespaces.Process
	for _, p := range held.Processes() {
		n := namespaces.Process{PID: p.PID, NSPID: p.PID, Command: p.Command}
		for _, th := range p.Threads {
			n.Tasks = append(n.Tasks, th.TID())
		}
		processes = append(processes, n)
	}
	var sets [2][]string
	for i, f := range []map[int]*view.TaskFacts{nil, facts} {
		r, refused, err := namespaces.Look(&view.IDs{}, processes, f)
		if err != nil || len(refused) > 0 {
			t.Fatal(err, refused.Err())
		}
		cgroups, err := namespaces.Cgroups("x", processes, f)
		if err != nil {
			t.Fatal(err)
		}
		for j := range processes {
			p := &processes[j]
			sets[i] = append(sets[i], fmt.Sprint(r.IDs(p), cgroups.Processes[j]))
			for _, tid := range p.Tasks {
				other, err := cgroups.Thread(j, tid)
				sets[i] = append(sets[i], fmt.Sprint(tid, r.ThreadIDs(p, tid), other, err))
			}
		}
	}
	if !slices.Equal(sets[0], sets[1]) {
		t.Errorf("namespaces and cgroups, read:\n%s\nseen:\n%s", strings.Join(sets[0], "\n"), strings.Join(sets[1], "\n"))
	}
}

// start runs testdata/facts.c in a container of its own.
func start(t *testing.T) *container.Container {
	t.Helper()
	program := filepath.Join(t.TempDir(), "facts")
	if out, err := exec.Command("gcc", "-O1", "-Wall", "-static", "-pthread", "-o", program, "testdata/facts.c").CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	g, err := harness.NewCgroup(need.Freezers()[0], "facts")
	if err != nil {
		t.Fatal(err)
	}
	// Not our own child: whoever waits for such a one, as the package os does,
	// would take its stops (wait_consider_task, kernel/exit.c).
	dir := t.TempDir()
	keeper := exec.Command("/proc/self/exe")
	keeper.Env = append(os.Environ(), "FACTS_DIR="+dir, "FACTS_CGROUP="+g.Dir, "FACTS_PROGRAM="+program)
	keeper.Stderr = os.Stderr
	hold, err := keeper.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := keeper.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = hold.Close()
		if err := keeper.Wait(); err != nil {
			t.Error(err)
		}
	})
	if !harness.Wait(10*time.Second, func() bool { _, err := os.Stat(filepath.Join(dir, "ready")); return err == nil }) {
		t.Fatal("the program does not get ready")
	}
	c, err := container.ByCgroup(t.Context(), g.Dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func look(t *testing.T, held *ptrace.Held, o tasks.Options) (all []*tasks.Process) {
	t.Helper()
	err := held.Do(func() error {
		l, err := tasks.New(&view.IDs{}, held.Processes(), o)
		if err != nil {
			return err
		}
		for _, p := range held.Processes() {
			found, refused, err := l.Look(context.Background(), p)
			if err != nil {
				return err
			}
			if len(refused) > 0 {
				return fmt.Errorf("refused: %w", refused.Err())
			}
			for _, timer := range found.Timers { // they go on, also in a hold
				timer.ValueUs = 0
			}
			all = append(all, found)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// keep is the process that keeps the container, until its input ends.
func keep() error {
	g := &harness.Cgroup{Dir: os.Getenv("FACTS_CGROUP")}
	tree, err := harness.Start(os.Getenv("FACTS_DIR"), g, os.Getenv("FACTS_PROGRAM"))
	if err == nil {
		_, err = io.ReadAll(os.Stdin)
	}
	return errors.Join(err, harness.Remove(tree, g))
}

func TestMain(m *testing.M) {
	if os.Getenv("FACTS_DIR") != "" {
		if err := keep(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	code := m.Run()
	if left := harness.Leftovers(); len(left) > 0 {
		fmt.Println("left behind:", left)
		code = 1
	}
	os.Exit(code)
}
