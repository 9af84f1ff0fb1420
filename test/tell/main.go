// Command tell reads what go test -json writes and tells it to a person: each
// package in a line, what failed with its output, what was skipped with its
// reason, and lines of tests that begin with "summary:". With -coverage FILE it
// sees besides that each test that docs/coverage.md names did run.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

// event is one of go test's (go doc test2json).
type event struct {
	Action     string
	Package    string
	ImportPath string // of build output
	Test       string
	Elapsed    float64 // seconds
	Output     string
}

type teller struct {
	out    io.Writer
	output map[string]*strings.Builder // by package and test
	count  map[string]int              // of tests, by how they ended
	failed []string                    // tests and packages
	tests  map[string]int              // by package
	ended  map[string]string           // how each test ended, by its name without the package
}

func main() {
	file := flag.String("coverage", "", "see that the tests named in `FILE` did run")
	flag.Parse()
	t := newTeller(os.Stdout)
	err := t.tell(os.Stdin)
	if err == nil && *file != "" {
		err = t.compare(*file)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "tell:", err)
		os.Exit(1)
	}
	t.sum()
	if len(t.failed) > 0 {
		os.Exit(1)
	}
}

func newTeller(out io.Writer) *teller {
	return &teller{out: out, output: map[string]*strings.Builder{}, count: map[string]int{}, tests: map[string]int{}, ended: map[string]string{}}
}

func (t *teller) tell(in io.Reader) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			var e event
			if json.Unmarshal([]byte(line), &e) != nil {
				fmt.Fprint(t.out, line) // go itself says something
			} else {
				t.event(&e)
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *teller) sum() {
	fmt.Fprintf(t.out, "%d tests passed, %d failed, %d skipped\n", t.count["pass"], t.count["fail"], t.count["skip"])
	for _, name := range t.failed {
		fmt.Fprintln(t.out, "FAILED:", name)
	}
}

func (t *teller) event(e *event) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "build-output":
		fmt.Fprint(t.out, e.Output)
	case "build-fail":
		t.failed = append(t.failed, "build of "+e.ImportPath)
	case "output":
		if strings.HasPrefix(e.Output, "summary:") {
			fmt.Fprint(t.out, e.Output)
			return
		}
		if t.output[key] == nil {
			t.output[key] = new(strings.Builder)
		}
		t.output[key].WriteString(e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			t.pack(e, key)
		} else {
			t.test(e, key)
		}
		delete(t.output, key)
	}
}

// test tells how a test ended, if that is worth a line.
func (t *teller) test(e *event, key string) {
	t.count[e.Action]++
	t.tests[e.Package]++
	t.note(e)
	name := short(e.Package) + " " + e.Test
	switch e.Action {
	case "fail":
		t.failed = append(t.failed, name)
		fmt.Fprintf(t.out, "FAIL %s (%.1fs)\n%s", name, e.Elapsed, t.text(key, true))
	case "skip":
		fmt.Fprintf(t.out, "SKIP %s: %s\n", name, strings.Join(strings.Fields(t.text(key, false)), " "))
	}
}

func (t *teller) pack(e *event, key string) {
	word := "ok  "
	switch {
	case e.Action == "fail":
		word = "FAIL"
		t.failed = append(t.failed, short(e.Package))
		fmt.Fprint(t.out, t.text(key, true))
	case t.tests[e.Package] == 0:
		return // no test files
	}
	fmt.Fprintf(t.out, "%s %s: %d tests, %.1fs\n", word, short(e.Package), t.tests[e.Package], e.Elapsed)
}

// text is what a test wrote, without go test's own lines; a skip's reason
// without its place.
func (t *teller) text(key string, whole bool) string {
	b := t.output[key]
	if b == nil {
		return ""
	}
	var kept strings.Builder
	for line := range strings.Lines(b.String()) {
		trimmed := strings.TrimSpace(line)
		if strings.HasPrefix(trimmed, "=== ") || strings.HasPrefix(trimmed, "--- ") || trimmed == "PASS" || trimmed == "FAIL" {
			continue
		}
		if !whole {
			if _, reason, ok := strings.Cut(trimmed, ".go:"); ok {
				if _, reason, ok = strings.Cut(reason, ": "); ok {
					line = reason + "\n"
				}
			}
		}
		kept.WriteString(line)
	}
	return kept.String()
}

func short(path string) string { return strings.TrimPrefix(path, "lxc-checkpoint/") }
