package format

import (
	"fmt"
	"path"
	"strings"
)

const maxSetting = 1 << 20 // bytes of a file of a cgroup

// cgroupTrees checks that each cgroup comes after the one that it is in, and
// that no name leads elsewhere.
func (c *checker) cgroupTrees() error {
	hierarchies := map[string]bool{}
	for _, t := range c.CgroupTrees {
		if badName(t.Controllers, maxPath) || hierarchies[t.Controllers] {
			return fmt.Errorf("the cgroups of hierarchy %.80q are there twice, or no hierarchy is called so", t.Controllers)
		}
		hierarchies[t.Controllers] = true
		seen := map[string]bool{}
		for i, g := range t.Cgroups {
			if badCgroup(g.Path) || seen[g.Path] || (g.Path == "/") != (i == 0) || i > 0 && !seen[path.Dir(g.Path)] {
				return fmt.Errorf("cgroup %.80q is not below one that came before", g.Path)
			}
			seen[g.Path] = true
			if err := g.check(); err != nil {
				return fmt.Errorf("cgroup %.80q: %w", g.Path, err)
			}
		}
	}
	return nil
}

func badCgroup(p string) bool { return badPath(p) || path.Clean(p) != p }

func (g *Cgroup) check() error {
	if g.Mode&sIFMT != sIFDIR || g.Mode > 0o177777 {
		return fmt.Errorf("its mode is %#o", g.Mode)
	}
	for _, x := range g.Xattrs {
		if x.Name == "" || badName(x.Name, 255) || len(x.Value) > 64<<10 {
			return fmt.Errorf("it has an extended attribute %.80q of %d bytes", x.Name, len(x.Value))
		}
	}
	for _, f := range g.Files {
		if f.Name == "" || f.Name == "." || f.Name == ".." || badName(f.Name, 255) || strings.Contains(f.Name, "/") {
			return fmt.Errorf("it has a file %.80q", f.Name)
		}
		if f.Mode&sIFMT != sIFREG || f.Mode > 0o177777 || len(f.Text) > maxSetting {
			return fmt.Errorf("its file %.80q has mode %#o and %d bytes", f.Name, f.Mode, len(f.Text))
		}
	}
	return nil
}

// memberships checks the cgroups of a process or thread; an error goes on with
// what somebody did.
func memberships(list []*CgroupMembership) error {
	for _, g := range list {
		if badCgroup(g.Path) || badName(g.Controllers, maxPath) {
			return fmt.Errorf("is in a cgroup %.80q", g.Path)
		}
	}
	return nil
}
