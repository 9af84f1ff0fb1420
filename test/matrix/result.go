package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// result is how the tests went on a kernel.
type result struct {
	kernel  string
	release string // its own name for itself
	took    time.Duration
	tests   map[string]*test
	problem error // with the whole, not with one test
	console string
}

// test is one target under one of the functions of test/targets, or a function
// without targets.
type test struct {
	name   string // "TestKill/fd_pipe", "TestSignalled"
	state  string // "pass", "fail", "skip"; empty if it has not ended
	output strings.Builder
}

// read finds in the console's text how the tests went.
func (r *result) read() {
	r.release = lineAfter(r.console, "matrix: kernel ")
	r.tests = map[string]*test{}
	err := r.events()
	code := lineAfter(r.console, "matrix: exit ")
	switch {
	case r.problem != nil: // the first counts
	case err != nil:
		r.problem = err
	case code == "":
		r.problem = errors.New("it ended before the tests did")
	case len(r.tests) == 0:
		r.problem = errors.New("no test ran")
	case code != "0" && len(r.in("fail")) == 0:
		r.problem = fmt.Errorf("each test passed, but all in all they failed, exit code %s", code)
	}
}

// events has go's own tool take go test's text apart.
func (r *result) events() error {
	c := exec.Command("go", "tool", "test2json")
	c.Stdin = strings.NewReader(r.console)
	events, err := output(c)
	if err != nil {
		return err
	}
	for decoder := json.NewDecoder(strings.NewReader(events)); ; {
		var e struct{ Action, Test, Output string }
		switch err := decoder.Decode(&e); {
		case err == io.EOF:
			r.dropFunctions()
			return nil
		case err != nil:
			return fmt.Errorf("read what test2json writes: %w", err)
		}
		r.event(e.Action, e.Test, e.Output)
	}
}

func (r *result) event(action, name, output string) {
	if name == "" {
		return
	}
	t := r.tests[name]
	if t == nil {
		t = &test{name: name}
		r.tests[name] = t
	}
	switch action {
	case "output":
		t.output.WriteString(output)
	case "pass", "fail", "skip":
		t.state = action
	}
}

// dropFunctions leaves functions with targets out, which are as these are.
func (r *result) dropFunctions() {
	for name := range r.tests {
		if function, _, ok := strings.Cut(name, "/"); ok {
			delete(r.tests, function)
		}
	}
}

// well tells whether everything passed that was not skipped.
func (r *result) well() bool { return r.problem == nil && len(r.in("fail")) == 0 && len(r.in("")) == 0 }

// in returns the tests that are in a state.
func (r *result) in(state string) []*test {
	var list []*test
	for _, t := range r.tests {
		if t.state == state {
			list = append(list, t)
		}
	}
	slices.SortFunc(list, func(a, b *test) int { return strings.Compare(a.name, b.name) })
	return list
}

// print says it all, in the end how many ran and how they fared.
func (r *result) print(w io.Writer) {
	for _, t := range r.in("fail") {
		fmt.Fprintf(w, "FAIL %s %s\n%s", r.kernel, t.name, t.text())
	}
	for _, t := range r.in("") {
		fmt.Fprintf(w, "FAIL %s %s: it did not end\n%s", r.kernel, t.name, t.text())
	}
	for _, line := range r.skips() {
		fmt.Fprintf(w, "SKIP %s %s\n", r.kernel, line)
	}
	word := "ok  "
	if !r.well() {
		word = "FAIL"
	}
	if r.problem != nil {
		fmt.Fprintf(w, "FAIL %s: %v; its console ended with:\n%s", r.kernel, r.problem, lastLines(r.console, 30))
	}
	failed := len(r.in("fail")) + len(r.in(""))
	fmt.Fprintf(w, "%s %s (Linux %s): %d ran: %d passed (%s), %d failed; %d skipped; %.0f s\n",
		word, r.kernel, r.release, len(r.in("pass"))+failed, len(r.in("pass")), r.passed(), failed, len(r.in("skip")), r.took.Seconds())
}

// passed says what is in the tests that passed: "198 targets came back, 45 were
// refused as they should be; TestBash, TestRedis".
func (r *result) passed() string {
	count := map[string]int{}
	var others []string
	for _, t := range r.in("pass") {
		function, _, _ := strings.Cut(t.name, "/")
		count[function]++
		if !slices.Contains(others, function) {
			others = append(others, function)
		}
	}
	var words []string
	for _, f := range []struct{ function, words string }{
		{"TestOnce", "targets came back"}, {"TestRefused", "were refused as they should be"}, {travelTest, "came from the other kernel"},
	} {
		if n := count[f.function]; n > 0 {
			words = append(words, fmt.Sprint(n, " ", f.words))
		}
		others = slices.DeleteFunc(others, func(name string) bool { return name == f.function })
	}
	if len(others) > 0 {
		words = append(words, strings.Join(others, " "))
	}
	return strings.Join(words, ", ")
}

// skips says which targets were skipped, and why: "mem_guard (TestKill
// TestLive): this kernel has no guard pages".
func (r *result) skips() []string {
	functions := map[string][]string{}
	var order []string
	for _, t := range r.in("skip") {
		function, target, ok := strings.Cut(t.name, "/")
		if !ok {
			target = "all"
		}
		reason := target + "\x00" + t.reason()
		if functions[reason] == nil {
			order = append(order, reason)
		}
		functions[reason] = append(functions[reason], function)
	}
	slices.Sort(order)
	for i, key := range order {
		target, reason, _ := strings.Cut(key, "\x00")
		order[i] = fmt.Sprintf("%s (%s): %s", target, strings.Join(functions[key], " "), reason)
	}
	return order
}

// text is what a test wrote, without what go test adds.
func (t *test) text() string {
	var kept strings.Builder
	for line := range strings.Lines(t.output.String()) {
		if word := strings.TrimSpace(line); !strings.HasPrefix(word, "=== ") && !strings.HasPrefix(word, "--- ") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// reason is why a test was skipped: its text without the place in the source.
func (t *test) reason() string {
	text := strings.TrimSpace(t.text())
	if _, reason, ok := strings.Cut(text, ".go:"); ok {
		if _, reason, ok = strings.Cut(reason, ": "); ok {
			return reason
		}
	}
	return text
}

// lineAfter returns the rest of the line that has some words first.
func lineAfter(text, words string) string {
	_, rest, _ := strings.Cut(text, words)
	line, _, _ := strings.Cut(rest, "\n")
	return line
}

func lastLines(text string, n int) string {
	lines := strings.SplitAfter(text, "\n")
	return strings.TrimSpace(strings.Join(lines[max(0, len(lines)-n):], "")) + "\n"
}
