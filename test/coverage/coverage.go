// Package coverage reads docs/coverage.md: what a program can observe, what
// becomes of it, and which test shows that.
package coverage

import (
	"os"
	"regexp"
	"strings"
)

// Row is one of its tables'.
type Row struct {
	Section string
	What    string
	Is      string // "restored", "refused", …: the second cell
	Why     string // the third
}

// Read reads the rows of the file.
func Read(path string) ([]Row, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var rows []Row
	section := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if title, ok := strings.CutPrefix(line, "## "); ok {
			section = title
		}
		cells := strings.Split(line, " | ")
		if len(cells) != 3 || !strings.HasPrefix(line, "| ") || cells[0] == "| what" {
			continue
		}
		rows = append(rows, Row{section, strings.TrimPrefix(cells[0], "| "), cells[1], strings.TrimSuffix(cells[2], " |")})
	}
	return rows, nil
}

var word = regexp.MustCompile(`Test[A-Z]\w*|refused/\w+|\b[a-z][a-z0-9]*(?:_[a-z0-9]+)+\b|\b[a-z][a-z0-9]+\b`)

// Tests are the tests that the third cell names: Go tests ("TestX"), and targets
// ("fd_pipe", "refused/traced") that isTarget knows.
func (r Row) Tests(isTarget func(name string) bool) []string {
	var names []string
	for _, w := range word.FindAllString(r.Why, -1) {
		if strings.HasPrefix(w, "Test") || isTarget(w) {
			names = append(names, w)
		}
	}
	return names
}

// Kind is a line of README's table.
type Kind struct {
	Name string
	// section and words tell its rows: those of the section whose first cell has
	// one of the words.
	section string
	words   *regexp.Regexp
	// Kept, Refused, Lost and Unseen count its rows.
	Kept, Refused, Lost, Unseen int
}

// Kinds sorts the rows into kinds, in the order of the table. A row belongs to
// the first one that fits.
func Kinds(rows []Row) []*Kind {
	const descriptors = "Descriptors"
	kind := func(section, name, words string) *Kind {
		return &Kind{Name: name, section: section, words: regexp.MustCompile(words)}
	}
	kinds := []*Kind{
		kind(descriptors, "UNIX sockets", `UNIX|SCM_|SO_PEER|wait to be accepted, in|wait to be accepted and that|peer outside`),
		kind(descriptors, "TCP, MPTCP", `TCP|a peer sends while|neighbours and switches`),
		kind(descriptors, "UDP, raw IP, ping", `UDP|Raw IP|multicast`),
		kind(descriptors, "netlink, packet and other sockets", `[Nn]etlink|[Ss]ocket`),
		kind(descriptors, "BPF maps and programs", `BPF|bpf|verifier|v2 cgroup`),
		kind(descriptors, "pipes, FIFOs", `[Pp]ipe|FIFO|splice`),
		kind(descriptors, "epoll, eventfd, signalfd, timerfd, pidfd", `epoll|eventfd|signalfd|timerfd|pidfd`),
		kind(descriptors, "io_uring, aio", `io_uring|aio|AIO`),
		kind(descriptors, "inotify, fanotify", `notify`),
		kind(descriptors, "terminals", `[Tt]erminal|/dev/tty|[Tt]ty`),
		kind(descriptors, "locks and leases", `[Ll]ock|[Ll]ease`),
		kind(descriptors, "removed files, memfd", `[Rr]emoved|memfd|MFD_|O_TMPFILE|renamed over|without a path|name that is gone|other name`),
		kind(descriptors, "other descriptors", ``),
		kind("Tasks", "processes and threads", ``),
		kind("Credentials and attributes", "credentials, limits, scheduling, seccomp", ``),
		kind("Signals", "signals", ``),
		kind("Time and interrupted calls", "timers, interrupted calls", ``),
		kind("CPU", "registers", ``),
		kind("Mappings", "mappings", ``),
		kind("Address space and memory", "memory", ``),
		kind("The container's world", "cgroups", `[Cc]group`),
		kind("The container's world", "System V IPC, POSIX message queues", `System V|SEM_UNDO|semop|IPC_|message queue|[Mm]queue|mq_`),
		kind("The container's world", "mounts, tmpfs", `[Mm]ount|tmpfs|pivot_root|hugetlbfs`),
		kind("The container's world", "namespaces, clocks, LXC", ``),
		kind("Network", "network: interfaces, addresses, routes, filters", ``),
	}
	for _, r := range rows {
		for _, k := range kinds {
			if k.section == r.Section && k.words.MatchString(r.What) {
				k.count(r)
				break
			}
		}
	}
	return kinds
}

func (k *Kind) count(r Row) {
	switch is := strings.ToLower(r.Is); {
	case strings.HasPrefix(is, "restored"):
		k.Kept++
	case strings.HasPrefix(is, "refused"):
		k.Refused++
	case strings.HasPrefix(is, "not observable"):
		k.Unseen++
	default: // lost, not restored, not told by the kernel
		k.Lost++
	}
}
