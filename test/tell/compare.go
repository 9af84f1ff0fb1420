package main

import (
	"fmt"
	"strings"

	"lxc-checkpoint/test/coverage"
)

// note remembers how a test ended. Of several of one name one that passed counts,
// and of a target its checkpoint with a restart.
func (t *teller) note(e *event) {
	name := e.Test
	for prefix, kind := range map[string]string{"TestKill/": "", "TestContainer/": "", "TestRefused/": "refused/"} {
		if target, ok := strings.CutPrefix(e.Test, prefix); ok && strings.HasSuffix(e.Package, "/test/targets") {
			name = kind + target
		}
	}
	if t.ended[name] != "pass" {
		t.ended[name] = e.Action
	}
}

// compare compares the rows of the file with what ran: a row whose tests did not
// run, and were not skipped with a reason, says what nobody has seen.
func (t *teller) compare(file string) error {
	rows, err := coverage.Read(file)
	if err != nil {
		return err
	}
	shown, skipped := 0, 0
	for _, r := range rows {
		names := r.Tests(func(name string) bool { _, ran := t.ended[name]; return ran })
		passed, ran := 0, 0
		for _, name := range names {
			switch t.ended[name] {
			case "":
				t.failed = append(t.failed, fmt.Sprintf("%s: %q names %s, which did not run", file, r.What, name))
			case "pass":
				passed++
				ran++
			default:
				ran++
			}
		}
		switch {
		case passed > 0:
			shown++
		case ran > 0:
			skipped++
		}
	}
	fmt.Fprintf(t.out, "summary: %s: %d rows; of %d a test passed, of %d all were skipped or failed\n", file, len(rows), shown, skipped)
	return nil
}
