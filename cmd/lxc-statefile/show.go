package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"

	"lxc-checkpoint/image/reader"
	"lxc-checkpoint/internal/outfile"
)

// show shows what a statefile holds. Of one whose contents are damaged, it
// shows the rest, and returns the error.
func show(ctx context.Context, img *reader.Reader, name string, asJSON bool) error {
	m := newMeasured(img)
	s, err := img.Skeleton()
	if err != nil {
		return err
	}
	damage := m.read(ctx, img, s)
	if ctx.Err() != nil {
		return damage
	}
	m.mu.Lock()
	sum := summarize(s, m)
	m.mu.Unlock()
	if asJSON {
		e := json.NewEncoder(os.Stdout)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		err = e.Encode(sum)
	} else {
		t := &tree{}
		t.summary(sum)
		_, err = io.WriteString(os.Stdout, t.String())
	}
	if damage == nil && err != nil {
		return &outputError{err}
	}
	return damage
}

// tree is the text that a person reads.
type tree struct{ strings.Builder }

// line writes a line. What came from the container's programs is shown without
// characters that a terminal would obey.
func (t *tree) line(prefix, format string, args ...any) {
	text := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, fmt.Sprintf(format, args...))
	t.WriteString(strings.TrimRight(prefix+text, " ") + "\n")
}

func size(n uint64) string { return outfile.Size(n) }

// few writes a number with its word: "1 thread", "3 threads".
func few(n int, word string) string {
	if n != 1 {
		word += "s"
	}
	return fmt.Sprintf("%d %s", n, word)
}

func (t *tree) summary(s *Summary) {
	name := "processes" // of a cgroup or a pid
	if s.Container.Name != "" {
		name = "container " + s.Container.Name
	}
	when := s.Header.Time
	if at, err := time.Parse(time.RFC3339Nano, when); err == nil {
		when = at.Format("2006-01-02 15:04:05 UTC")
	}
	t.line("", "%s, checkpointed %s", name, when)
	t.line("  ", "%s, Linux %s, pages of %d bytes; format %d, written by version %s",
		s.Header.Architecture, s.Header.KernelRelease, s.Header.PageSize, s.Header.Version, s.Header.ToolVersion)
	if s.Container.Rootfs != "" {
		t.line("  ", "root file system %s", s.Container.Rootfs)
	}
	if s.Container.WasFrozen {
		t.line("  ", "it was frozen before")
	}
	threads := 0
	var stored uint64
	for _, p := range s.Processes {
		threads += len(p.Threads)
	}
	for _, m := range s.Memory {
		stored += m.Stored
	}
	processes := fmt.Sprintf("%d processes", len(s.Processes))
	if len(s.Processes) == 1 {
		processes = "1 process"
	}
	t.line("  ", "%s, %s; %s of memory in %s", processes, few(threads, "thread"), size(stored), size(uint64(s.Statefile.Bytes)))
	t.namespaces(s.Namespaces)
	t.line("", "")
	t.line("", "Processes")
	t.processes(s)
	t.line("", "")
	t.line("", "Memory")
	t.memory("  ", s.Memory)
}

func (t *tree) namespaces(all []Namespace) {
	if len(all) == 0 {
		return
	}
	var own, host []string
	for _, n := range all {
		word := n.Kind
		if n.Hostname != "" {
			word += " (" + n.Hostname + ")"
		}
		if n.Own {
			own = append(own, word)
		} else {
			host = append(host, word)
		}
	}
	t.line("", "")
	t.line("", "Namespaces")
	if len(own) > 0 {
		t.line("  ", "its own:     %s", strings.Join(own, ", "))
	}
	if len(host) > 0 {
		t.line("  ", "the host's:  %s", strings.Join(host, ", "))
	}
}

func (t *tree) processes(s *Summary) {
	children := map[uint32][]*Process{}
	for i := range s.Processes {
		p := &s.Processes[i]
		children[p.Parent] = append(children[p.Parent], p)
	}
	// Without recursion: parents may be nested as deep as there are processes.
	type visit struct {
		*Process
		prefix string // before what belongs to it
		last   bool   // of its parent's children
		depth  int
	}
	var todo []visit
	push := func(list []*Process, prefix string, depth int) {
		for i := len(list) - 1; i >= 0; i-- {
			todo = append(todo, visit{list[i], prefix, i == len(list)-1, depth})
		}
	}
	push(children[0], "  ", 0)
	for len(todo) > 0 {
		v := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		head, below := v.prefix, v.prefix
		const deepest = 40 // more would not fit on any screen
		if v.depth > 0 && v.depth <= deepest {
			if v.last {
				head, below = v.prefix+"└─ ", v.prefix+"   "
			} else {
				head, below = v.prefix+"├─ ", v.prefix+"│  "
			}
		}
		t.head(head, v.Process)
		more := "   "
		if len(children[v.PID]) > 0 {
			more = "│  "
		}
		t.details(below+more, v.Process)
		push(children[v.PID], below, v.depth+1)
	}
}

func (t *tree) head(prefix string, p *Process) {
	state := ""
	switch {
	case p.State != "running":
		state = ", " + p.State
	case len(p.Threads) == 1 && p.Threads[0].SystemCall != "":
		state = ", in " + p.Threads[0].SystemCall
	}
	t.line(prefix, "%d %s%s", p.PID, p.Name, state)
}

func (t *tree) details(prefix string, p *Process) {
	if p.State == "zombie" {
		return
	}
	if p.CommandLine != "" && p.CommandLine != p.Name {
		t.line(prefix, "%s", p.CommandLine)
	}
	if len(p.Threads) > 1 {
		t.line(prefix, "%s", few(len(p.Threads), "thread"))
		for _, k := range p.Threads {
			call := "running"
			switch {
			case k.Ended:
				call = "ended"
			case k.SystemCall != "":
				call = "in " + k.SystemCall
			}
			t.line(prefix+"  ", "%d %s, %s", k.TID, k.Name, call)
		}
	}
	if p.SharesWith != 0 {
		t.line(prefix, "shares the memory of %d", p.SharesWith)
	} else {
		t.memory(prefix, p.Memory)
	}
	for _, d := range p.Descriptors {
		note := ""
		if d.Kind == "file" && d.Position != 0 {
			note = fmt.Sprintf(", at %d", d.Position)
		}
		for _, l := range d.Locks {
			note += ", " + l
		}
		t.line(prefix, "fd %-3d %-4s %s %s%s", d.Number, d.Access, d.Kind, d.Name, note)
	}
}

// memory is a line for each kind: what is mapped, what of it is stored, and
// what that takes in the statefile.
func (t *tree) memory(prefix string, all []Memory) {
	for _, m := range all {
		note := "nothing stored"
		if m.Stored != 0 {
			note = fmt.Sprintf("%s stored in %s", size(m.Stored), size(m.Compressed))
		}
		t.line(prefix, "%-16s %10s in %s, %s", m.Kind, size(m.Size), few(m.Mappings, "mapping"), note)
	}
}
