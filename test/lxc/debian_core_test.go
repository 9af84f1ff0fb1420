package lxc

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/test/harness"
)

// shown is what lxc-statefile show --json says, as far as these tests care.
type shown struct {
	Processes []shownProcess
}

type shownProcess struct {
	PID        int
	Name       string
	Executable string
	Threads    []struct{ TID int }
}

func show(t *testing.T, file string) (s shown) {
	t.Helper()
	text := harness.Must(t, harness.Tool(t, "lxc-statefile"), "show", "--json", file)
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// coreCase is what gdb has to find in the core of a process.
type coreCase struct {
	frames map[string]int    // text of a backtrace, how often at least
	values map[string]string // an expression of a global variable, its value
	steps  string            // an array of counts, as the counters of this pattern have it
	of     string
}

// coreCases are by the name of a process. The programs of Debian have no
// symbols but those of their dynamic tables, and those have no types.
var coreCases = map[string]coreCase{
	"init.sh": {
		frames: map[string]int{"sigsuspend ": 1, "libc_start_": 1},
		values: map[string]string{"*(char **)&program_invocation_short_name": `"sh"`},
	},
	"redis-server": {
		frames: map[string]int{" aeMain (": 1, " main (": 1, " bioProcessBackgroundJobs (": 3},
		values: map[string]string{"*(int *)&server": "the pid"}, // its first member
	},
	"python3": {
		frames: map[string]int{" _PyEval_EvalFrameDefault (": 11, " Py_BytesMain (": 1},
		values: map[string]string{"*(int *)&Py_OptimizeFlag": "2"}, // by option -OO
	},
	"goroutines": {
		frames: map[string]int{" main.count (i=": 1, " runtime.sysmon (": 1},
		values: map[string]string{"'main.known'": "314159265358"},
		steps:  "'main.steps'", of: "go.%d",
	},
	"threads": {
		frames: map[string]int{" counting (argument=": 4, " main () at ": 1},
		values: map[string]string{"known": "271828182845"},
		steps:  "steps", of: "c.%d",
	},
}

// TestDebianCore has gdb look at a core of each process of a restarted
// container, and before that, if there is time, of the container as LXC
// started it.
func TestDebianCore(t *testing.T) {
	need.Check(t, need.GDB)
	b, p := debian(t)
	file := b.statefile("f")
	b.checkpoint("-k", "-S", file)
	if harness.Acceptance() {
		p.checkCores(file)
	}
	b.restart("-S", file)
	p.goesOn()
	b.checkpoint("-k", "-S", file)
	p.checkCores(file)
}

// checkCores makes a core of each process and checks it.
func (p *programs) checkCores(file string) {
	t := p.b.t
	t.Helper()
	s := show(t, file)
	if len(s.Processes) != len(coreCases) {
		t.Errorf("%d processes instead of %d", len(s.Processes), len(coreCases))
	}
	for _, process := range s.Processes {
		c, known := coreCases[process.Name]
		if !known {
			t.Errorf("there is a process %q", process.Name)
			continue
		}
		core := p.b.statefile("core")
		harness.Silent(t, "lxc-statefile", "core", "-o", core, file, strconv.Itoa(process.PID))
		c.check(t, p, process, core)
	}
}

// check asks gdb for everything at once.
func (c coreCase) check(t *testing.T, p *programs, process shownProcess, core string) {
	t.Helper()
	expressions := slices.Sorted(maps.Keys(c.values))
	if c.steps != "" {
		expressions = append(expressions, c.steps)
	}
	args := []string{"-q", "-batch", "-nx"}
	for _, command := range []string{
		"set debuginfod enabled off", "set print elements unlimited", "set print repeats unlimited", "set print address off",
		"set sysroot " + p.b.rootfs, "file " + filepath.Join(p.b.rootfs, process.Executable), "core-file " + core,
		"thread apply all bt",
	} {
		args = append(args, "-ex", command)
	}
	for _, x := range expressions {
		args = append(args, "-ex", "print "+x)
	}
	gdb := harness.Run(t, "gdb", args...)
	defer func() {
		if t.Failed() {
			t.Fatalf("process %d, %s: %v", process.PID, process.Name, gdb)
		}
	}()
	if gdb.Code != 0 || strings.Contains(gdb.Stdout+gdb.Stderr, "Cannot access memory") {
		t.Error("gdb cannot do all")
	}
	c.checkThreads(t, process, gdb.Stdout)

	values := printed.FindAllStringSubmatch(gdb.Stdout, -1)
	if len(values) != len(expressions) {
		t.Errorf("gdb prints %d values instead of %d", len(values), len(expressions))
		return
	}
	for i, x := range expressions {
		value, want := values[i][1], c.values[x]
		switch {
		case x == c.steps:
			p.compareSteps(c.of, value)
			continue
		case want == "the pid":
			want = strconv.Itoa(process.PID)
		}
		if value != want {
			t.Errorf("gdb says that %s is %s instead of %s", x, value, want)
		}
	}
}

// checkThreads looks at the backtraces.
func (c coreCase) checkThreads(t *testing.T, process shownProcess, said string) {
	t.Helper()
	blocks := strings.Split(said, "\nThread ")[1:]
	if len(blocks) != len(process.Threads) {
		t.Errorf("gdb shows %d threads instead of %d", len(blocks), len(process.Threads))
	}
	for _, thread := range process.Threads {
		if !slices.ContainsFunc(blocks, func(block string) bool { return symbolic(block, thread.TID) }) {
			t.Errorf("gdb shows no backtrace of thread %d with a symbol among its innermost frames", thread.TID)
		}
	}
	for text, times := range c.frames {
		if n := strings.Count(said, text); n < times {
			t.Errorf("gdb says %q %d times instead of %d", text, n, times)
		}
	}
}

var printed = regexp.MustCompile(`(?m)^\$\d+ = (.*)$`)

var firstFrames = regexp.MustCompile(`(?m)^#[0-2] +(?:0x[0-9a-f]+ in )?([^ ]+) \(`)

// symbolic tells whether a block of "thread apply all bt" is of this thread
// and one of its three innermost frames has a name: a function of a program without
// symbols that nobody else calls has none.
func symbolic(block string, tid int) bool {
	head, _, _ := strings.Cut(block, "\n")
	named := slices.ContainsFunc(firstFrames.FindAllStringSubmatch(block, -1), func(frame []string) bool { return frame[1] != "??" })
	return named && strings.Contains(head, fmt.Sprintf("(LWP %d)", tid))
}

// compareSteps compares an array that gdb prints, {1, 2 ...}, with the
// counters' files: a program counts first and writes then.
func (p *programs) compareSteps(pattern, array string) {
	p.b.t.Helper()
	words := strings.Split(strings.Trim(array, "{}"), ", ")
	if len(words) != counting[pattern] {
		p.b.t.Fatalf("gdb prints %d counts instead of %d: %s", len(words), counting[pattern], array)
	}
	for i, word := range words {
		c := counter{b: p.b, file: filepath.Join("srv/counts", fmt.Sprintf(pattern, i))}
		n, last := 0, c.look()
		if n, _ = strconv.Atoi(word); n != last && n != last+1 {
			p.b.t.Errorf("gdb says that counter %s is at %s; its file is at %d", c.file, word, last)
		}
	}
}
