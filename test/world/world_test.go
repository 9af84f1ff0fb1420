// Package world compares what a container can see of its world, mounts, network,
// IPC, sysctls, cgroups, files in memory, before a checkpoint and after the
// restart. Each fixture is a bit of that world: a script that makes it, and one
// that shows it, both run inside by ordinary tools. All are tried in a container
// of stock LXC, and in one made without LXC.
package world

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/test/harness"
)

// fixture is a bit of the world.
type fixture struct {
	name string
	// setup makes it. A line "skip REASON" ends it, where the kernel lacks
	// something.
	setup string
	// look shows it. What it writes must be other than without the setup, and the
	// same after a restart.
	look string
	// but are the parts of it that differ by their nature, with why.
	but []difference
	// after has to work after the restart.
	after string
	// told is what the checkpoint says of it: it will be lost, by name.
	told string
	// v1, v2: only where the container has a cgroup of this version.
	v1, v2 bool
}

// difference is a part of a look that is left out.
type difference struct {
	what *regexp.Regexp
	why  string
}

func but(what, why string) difference { return difference{regexp.MustCompile(what), why} }

// areas are the fixtures that share a container.
var areas = []struct {
	name     string
	fixtures []fixture
}{
	{"mounts", mounts},
	{"layers", layers},
	{"mounted", mounted},
	{"services", services},
	{"links", links},
	{"addresses", addresses},
	{"filters", filters},
	{"ipc", ipc},
	{"sysctls", sysctls},
	{"cgroups", cgroups},
	{"tmpfs", trees},
}

// container is one of either stage.
type container interface {
	// run runs a shell script inside, as root.
	run(script string) (string, error)
	checkpoint(statefile string) *harness.Result // and kill
	restart(statefile string) *harness.Result
	dir() string // for statefiles
	has(version int) bool
}

// TestWorldOfLXC: under stock LXC.
func TestWorldOfLXC(t *testing.T) {
	need.Check(t, need.LXC)
	everywhere(t, func(t *testing.T, area string) container { return startLXC(t, area) })
}

// TestWorldNative: a tree of processes in namespaces of its own, from the image
// alone.
func TestWorldNative(t *testing.T) {
	everywhere(t, func(t *testing.T, area string) container { return startNative(t, area) })
}

func everywhere(t *testing.T, start func(t *testing.T, area string) container) {
	need.Check(t, need.Root, need.Freezer)
	for _, program := range programs {
		need.Check(t, need.Program(program))
	}
	for _, area := range areas {
		t.Run(area.name, func(t *testing.T) {
			c := start(t, area.name)
			compare(t, c, area.fixtures)
		})
	}
}

// result is what a fixture's script did.
type result struct {
	text string
	code int
}

// compare sets the fixtures up, looks, checkpoints, restarts and looks again.
func compare(t *testing.T, c container, fixtures []fixture) {
	t.Helper()
	script := func(part func(f *fixture) string) []result {
		t.Helper()
		var parts []string
		for i := range fixtures {
			parts = append(parts, part(&fixtures[i]))
		}
		return runAll(t, c, parts)
	}
	looks := func() []result { t.Helper(); return script(func(f *fixture) string { return f.look }) }

	without := looks()
	setup := script(func(f *fixture) string {
		if f.v1 && !c.has(1) || f.v2 && !c.has(2) {
			return "skip the container has no cgroup of this version"
		}
		return "set -e\n" + f.setup
	})
	settle(t, c)
	first := looks() // of which access times may tell
	before := looks()
	state := c.dir() + "/state"
	said := c.checkpoint(state)
	if said.Code != 0 || !expected(said.Stderr, fixtures) {
		t.Fatalf("the checkpoint: %v", said)
	}
	if got := c.restart(state); got.Code != 0 || got.Stderr != "" {
		t.Fatalf("the restart: %v", got)
	}
	settle(t, c)
	now := looks()
	after := script(func(f *fixture) string { return "set -e\n" + f.after })
	for i, f := range fixtures {
		t.Run(f.name, func(t *testing.T) {
			if setup[i].code == skipped {
				t.Skip(strings.TrimSpace(setup[i].text))
			}
			if setup[i].code != 0 {
				t.Fatalf("it can't be set up: %s", setup[i].text)
			}
			was, is := f.text(before[i]), f.text(now[i])
			switch {
			case before[i].code != 0:
				t.Fatalf("the look: %s", before[i].text)
			case f.text(without[i]) == was:
				t.Fatalf("the look shows nothing of what was set up:\n%s", was)
			case f.text(first[i]) != was:
				t.Fatalf("it changes by itself:%s", differ(f.text(first[i]), was))
			case f.told != "" && !strings.Contains(said.Stderr, f.told):
				t.Errorf("the checkpoint should say %q, and says: %s", f.told, said.Stderr)
			case f.told != "":
			case is != was:
				t.Errorf("it was and is:%s", differ(was, is))
			}
			if after[i].code != 0 {
				t.Errorf("afterwards: %s", after[i].text)
			}
		})
	}
}

// expected tells whether each line that a checkpoint said is about a fixture.
func expected(said string, fixtures []fixture) bool {
	for line := range strings.Lines(said) {
		if !slices.ContainsFunc(fixtures, func(f fixture) bool { return f.told != "" && strings.Contains(line, f.told) }) {
			return false
		}
	}
	return true
}

// text is what a look wrote, without what differs by its nature. Commas of JSON
// become ends of lines, so that a difference is seen.
func (f *fixture) text(r result) string {
	text := r.text
	for _, d := range slices.Concat(f.but, always) {
		text = d.what.ReplaceAllString(text, "*")
	}
	return strings.NewReplacer(",", ",\n", "},{", "},\n{").Replace(text)
}

// always differ.
var always = []difference{
	but(`"link_netnsid":-?\d+`, "numbers of other namespaces are given when they are asked for"),
	but(`"[a-z_]+_timer": *[0-9.]+`, "timers of bridges run"),
	but(`"(valid|preferred)_life_time":[0-9]{1,6}\b`, "what remains of a lifetime gets less"),
	but(`"expires": *\d+`, "what remains of a time gets less"),
}

const skipped = 77

// settle waits for what the kernel still does by itself: it asks others whether
// they have an IPv6 address, and ports of bridges begin to forward.
func settle(t *testing.T, c container) {
	t.Helper()
	harness.Until(t, "IPv6 addresses and ports of bridges to be in use", 20*time.Second, func() bool {
		out, err := c.run("ip -6 addr show tentative; bridge link | grep -E 'listening|learning |state blocking'; true")
		return err == nil && out == ""
	})
}

// prelude are the words that scripts can use.
const prelude = `
skip() { echo "skip: $*"; exit 77; }
# service NAME SCRIPT: starts a script that becomes a sleep; /home/NAME has its number.
service() {
	setsid unshare -m --propagation unchanged sh -ec "$2" </dev/null >/home/$1.log 2>&1 &
	echo $! >/home/$1
	for i in $(seq 200); do
		[ "$(cat /proc/$!/comm 2>/dev/null)" = sleep ] && return
		sleep 0.05
	done
	cat /home/$1.log
	exit 1
}
pid() { cat /home/$1; }
# mounts DIR PID…: what processes have mounted on DIR and below. In place of the
# numbers of mounts, which the kernel gives, stands where they are; peer groups are
# numbered as they come; numbers of devices are left out.
mounts() {
	dir=$1; shift
	for p in "$@"; do
		busybox awk -v dir="$dir" '
			{ place[$1] = $5; parent[$1] = $2; line[NR] = $0 }
			function depth(id) { return place[parent[id]] == place[id] && parent[id] != id ? 1 + depth(parent[id]) : 1 }
			END { for (n = 1; n <= NR; n++) { $0 = line[n]; if ($5 != dir && index($5, dir "/") != 1) continue
				text = $5 "#" depth($1) " on " place[$2] "#" depth($2) " " $4 " " $6; groups = ""
				for (i = 7; $i != "-"; i++) groups = groups " " $i
				for (i++; i <= NF; i++) text = text " " $i
				print text "\t" groups } }' /proc/$p/mountinfo | sort
	done | busybox awk -F '\t' '{ n = split($2, g, " "); text = $1
		for (i = 1; i <= n; i++) { if (split(g[i], w, ":") == 2) { if (!(w[2] in seen)) seen[w[2]] = ++groups; g[i] = w[1] ":" seen[w[2]] } text = text " " g[i] }
		print text }'
}
# tree DIR: names, kinds, modes, owners, links, sizes, blocks, times, devices, contents.
tree() {
	(cd "$1" && LC_ALL=C && export LC_ALL
	find . -xdev -printf '%i|%p|%y|%m|%U:%G|%n|%s|%b|%T+|%l\n' | sort -t '|' -k 2 | busybox awk -F '|' -v OFS='|' '{ if (!($1 in seen)) seen[$1] = NR; $1 = seen[$1]; print }'
	find . -xdev \( -type b -o -type c \) -exec stat -c '%n %t:%T' {} + | sort
	find . -xdev -type f -exec sha256sum {} + | sort -k 2
	find . -xdev -print0 | sort -z | xargs -0 getfattr -hd -m - 2>/dev/null
	find . -xdev ! -type l -print0 | sort -z | xargs -0 getfacl -n 2>/dev/null)
}
`

// runAll runs scripts one by one in a container.
func runAll(t *testing.T, c container, parts []string) []result {
	t.Helper()
	const mark = "=====world===== "
	var all strings.Builder
	all.WriteString(prelude)
	for _, part := range parts {
		fmt.Fprintf(&all, "(%s\n) </dev/null 2>&1\nr=$?; echo; echo %q $r\n", part, strings.TrimSpace(mark))
	}
	out, err := c.run(all.String())
	var results []result
	var text strings.Builder
	for line := range strings.Lines(out) {
		code, ok := strings.CutPrefix(line, mark)
		if !ok {
			text.WriteString(line)
			continue
		}
		n, _ := strconv.Atoi(strings.TrimSpace(code))
		results = append(results, result{strings.TrimSuffix(text.String(), "\n"), n})
		text.Reset()
	}
	if err != nil || len(results) != len(parts) {
		t.Fatalf("%d of %d scripts ran in the container: %v\n%s", len(results), len(parts), err, out)
	}
	return results
}

// differ shows the lines that only one of two texts has.
func differ(was, is string) string {
	a, b := strings.Split(was, "\n"), strings.Split(is, "\n")
	var text strings.Builder
	for _, line := range a {
		if !slices.Contains(b, line) {
			text.WriteString("\n- " + line)
		}
	}
	for _, line := range b {
		if !slices.Contains(a, line) {
			text.WriteString("\n+ " + line)
		}
	}
	if text.Len() == 0 {
		return "\nthe same lines in another order:\n" + was + "\nand\n" + is
	}
	return text.String()
}

func TestMain(m *testing.M) {
	code := m.Run()
	if base != "" {
		_ = os.RemoveAll(base)
	}
	if left := harness.Leftovers(); len(left) > 0 {
		fmt.Fprintln(os.Stderr, "left behind:", left)
		code = 1
	}
	os.Exit(code)
}
