package namespaces

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"lxc-checkpoint/dumper/view"
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/refusal"
)

// Memberships are the cgroups of each process from the container's own ones, and
// where those are.
type Memberships struct {
	Processes [][]*format.CgroupMembership // in the processes' order
	own       map[string]string            // paths by hierarchy, as /proc/PID/cgroup has them
	named     string                       // the last part of those that are its own alone
	facts     map[int]*view.TaskFacts
	seen      map[uint64][]procfs.CgroupPath // by view.Seen.Cgroups
}

// Cgroups finds the cgroups of each process. name is the last part of the path
// of the container's cgroup in the freezer's hierarchy, facts are those of tasks
// that eBPF tells; nil: nothing.
func Cgroups(name string, processes []Process, facts map[int]*view.TaskFacts) (*Memberships, error) {
	paths := make([][]procfs.CgroupPath, len(processes))
	m := &Memberships{own: map[string]string{}, named: name, facts: facts, seen: map[uint64][]procfs.CgroupPath{}}
	for i, p := range processes {
		var err error
		if paths[i], err = m.read(p.PID); err != nil {
			return nil, err
		}
		for _, c := range paths[i] {
			have, known := m.own[c.Controllers]
			if !known {
				have = c.Path
			}
			m.own[c.Controllers] = common(have, c.Path)
		}
	}
	for controllers, path := range m.own {
		m.own[controllers] = upTo(path, name)
	}
	m.Processes = make([][]*format.CgroupMembership, len(processes))
	for i := range processes {
		for _, c := range paths[i] {
			m.Processes[i] = append(m.Processes[i], m.from(c))
		}
	}
	return m, nil
}

// read reads the cgroups of a task, once for all that are in the same ones.
func (m *Memberships) read(tid int) ([]procfs.CgroupPath, error) {
	at := m.facts[tid].HasSeen().Cgroups
	if paths := m.seen[at]; paths != nil {
		return paths, nil
	}
	paths, err := procfs.ReadCgroupPaths(tid)
	if err == nil && at != 0 {
		m.seen[at] = paths
	}
	return paths, err
}

func (m *Memberships) from(c procfs.CgroupPath) *format.CgroupMembership {
	rest := "/" + strings.TrimPrefix(strings.TrimPrefix(c.Path, m.own[c.Controllers]), "/")
	return &format.CgroupMembership{Controllers: c.Controllers, Path: rest}
}

// Own is the path of the container's own cgroup in a hierarchy.
func (m *Memberships) Own(controllers string) string { return m.own[controllers] }

// Thread finds those cgroups of a thread that are not its process's, which is the
// i-th.
func (m *Memberships) Thread(i, tid int) ([]*format.CgroupMembership, error) {
	paths, err := m.read(tid)
	if err != nil {
		return nil, err
	}
	var all []*format.CgroupMembership
	for _, c := range paths {
		its := m.from(c)
		same := slices.ContainsFunc(m.Processes[i], func(p *format.CgroupMembership) bool {
			return p.Controllers == its.Controllers && p.Path == its.Path
		})
		if !same {
			all = append(all, its)
		}
	}
	return all, nil
}

// CgroupRoots notes the roots of a cgroup namespace that a program has made, as
// told by a process in it and its memberships.
func (r *Result) CgroupRoots(p *Process, memberships []*format.CgroupMembership) error {
	for _, o := range r.order {
		if o.Kind != format.NamespaceKind_CGROUP || !o.nested || !o.Own || o.pid != p.PID {
			continue
		}
		var inside []procfs.CgroupPath
		err := o.inside(func() (err error) {
			inside, err = procfs.ReadCgroupPaths(p.PID)
			return err
		})
		if err != nil {
			return fmt.Errorf("cgroup namespace of process %d (%s): %w", p.NSPID, p.Command, err)
		}
		for _, m := range memberships {
			i := slices.IndexFunc(inside, func(c procfs.CgroupPath) bool { return c.Controllers == m.Controllers })
			root, below := m.Path, "/"
			if i >= 0 {
				below = inside[i].Path
			}
			if below != "/" {
				var ok bool
				if root, ok = strings.CutSuffix(m.Path, below); !ok {
					r.refused = append(r.refused, &refusal.Refusal{
						PID: p.NSPID, Command: p.Command, Object: "cgroup " + m.Path, Kind: "cgroup namespace of its own",
						Reason: "the process is outside of the root of its cgroup namespace, so where that is can't be told",
						Remedy: "move it back, or end it",
					})
				}
			}
			o.CgroupRoots = append(o.CgroupRoots, &format.CgroupMembership{Controllers: m.Controllers, Path: cmp.Or(root, "/")})
		}
	}
	return nil
}

// common is the deepest cgroup that two are in.
func common(a, b string) string {
	x, y := parts(a), parts(b)
	n := 0
	for n < min(len(x), len(y)) && x[n] == y[n] {
		n++
	}
	return "/" + strings.Join(x[:n], "/")
}

// upTo cuts a path behind the part that has a name: all processes of a
// container may be deeper than its own cgroup.
func upTo(path, name string) string {
	p := parts(path)
	if i := slices.Index(p, name); i >= 0 {
		return "/" + strings.Join(p[:i+1], "/")
	}
	return path
}

func parts(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
}
