// Command kinds makes README.md's table of what is saved from docs/coverage.md.
// With -check it changes nothing, and fails if the table is stale.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"

	"lxc-checkpoint/test/coverage"
)

// The table stands between these lines.
const (
	begin = "<!-- This table is made from docs/coverage.md: go run ./test/kinds -->\n"
	end   = "<!-- end of the table -->\n"
)

func main() {
	check := flag.Bool("check", false, "only tell whether the table is as it should be")
	flag.Parse()
	if err := run(*check); err != nil {
		fmt.Fprintln(os.Stderr, "kinds:", err)
		os.Exit(1)
	}
}

func run(check bool) error {
	rows, err := coverage.Read("docs/coverage.md")
	if err != nil {
		return err
	}
	text, err := os.ReadFile("README.md")
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(text), begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return fmt.Errorf("README.md lacks the lines between which the table stands: %s%s", begin, end)
	}
	made := before + begin + table(rows) + end + after
	switch {
	case made == string(text):
		return nil
	case check:
		return fmt.Errorf("README.md's table is not what docs/coverage.md says: go run ./test/kinds")
	}
	return os.WriteFile("README.md", []byte(made), 0o644)
}

func table(rows []coverage.Row) string {
	var b strings.Builder
	b.WriteString("\n| kind | restored | refused by name | lost | not observable |\n|---|---|---|---|---|\n")
	for _, k := range coverage.Kinds(rows) {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", k.Name, count(k.Kept), count(k.Refused), count(k.Lost), count(k.Unseen))
	}
	b.WriteString("\n")
	return b.String()
}

func count(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}
