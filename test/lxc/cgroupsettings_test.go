package lxc

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestCgroupSettings: settings of the container's cgroups, its own and those
// below, in whatever hierarchies and controllers there are, come back as they
// were; also those of its own that were changed after the start, as lxc-cgroup
// does. With them, who may write to a cgroup, and its extended attributes.
func TestCgroupSettings(t *testing.T) {
	b, c := busybox(t)
	want := []struct{ below, file, text string }{
		{"", "memory.soft_limit_in_bytes", "838860800"},
		{"", "memory.max", "1073741824"},
		{"", "cpu.shares", "500"},
		{"", "pids.max", "200"},
		{"", "cgroup.max.depth", "9"},
		{"", "cgroup.subtree_control", "+hugetlb"},
		{"a", "cgroup.max.descendants", "7"},
		{"a", "cgroup.freeze", "1"},
		{"a", "hugetlb.2MB.max", "4194304"},
		{"a", "hugetlb.2MB.rsvd.max", "2097152"},
		{"a", "pids.max", "33"},
		{"a", "notify_on_release", "1"},
		{"a", "memory.limit_in_bytes", "104857600"},
		{"a", "memory.memsw.limit_in_bytes", "209715200"},
		{"a", "memory.swappiness", "7"},
		{"a", "memory.high", "104857600"},
		{"a", "cpu.shares", "77"},
		{"a", "cpu.cfs_period_us", "50000"},
		{"a", "cpu.cfs_quota_us", "20000"},
		{"a", "cpu.weight", "77"},
		{"a", "cpuset.cpus", "0"},
		{"a", "cpuset.mems", "0"},
		{"a", "cpuset.memory_migrate", "1"},
		{"a", "freezer.state", "FROZEN"},
		{"a", "devices.deny", "a"},
		{"a", "devices.allow", "c 1:3 rwm"},
		{"a", "devices.allow", "c 1:5 r"},
		{"a/b", "cgroup.type", "threaded"},
	}
	var owns, dirs []string
	for _, hierarchy := range cgroupMounts() {
		for _, own := range b.cgroups(hierarchy) {
			if strings.Contains(filepath.Base(own), "payload") {
				owns = append(owns, own)
			}
		}
	}
	set := 0
	// One after the other: some settings can't be changed when there is one below.
	for _, below := range []string{"", "a", "a/b"} {
		for _, own := range owns {
			dir := filepath.Join(own, below)
			dirs = append(dirs, dir)
			if below != "" {
				makeCgroup(t, dir)
			}
			for _, w := range want {
				file := filepath.Join(dir, w.file)
				if _, err := os.Stat(file); err != nil || w.below != below {
					continue // another hierarchy's, or this kernel's not
				}
				if err := os.WriteFile(file, []byte(w.text), 0); err != nil {
					if w.file == "cgroup.subtree_control" {
						t.Logf("%s: %v", file, err) // not with a process in it
						continue
					}
					t.Fatal(err)
				}
				set++
			}
		}
	}
	if set < 4 { // where v1 has all controllers, those of v2 that need none
		t.Fatalf("only %d settings could be set", set)
	}
	t.Logf("%d settings", set)
	before := cgroupFacts(t, dirs)
	b.checkpoint("-k", "-S", b.statefile("f"))
	b.restart("-S", b.statefile("f"))
	c.goesOn()
	after := cgroupFacts(t, dirs)
	for _, fact := range before {
		if !slices.Contains(after, fact) {
			t.Errorf("it was %s", fact)
		}
	}
	for _, fact := range after {
		if !slices.Contains(before, fact) {
			t.Errorf("it is %s", fact)
		}
	}
}

// makeCgroup makes one in which somebody else may put processes.
func makeCgroup(t *testing.T, dir string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setxattr(dir, "trusted.invocation_id", []byte("of "+dir), 0); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(filepath.Join(dir, "cgroup.procs"), 1000, 1001); err != nil {
		t.Fatal(err)
	}
}

// cgroupFacts are all files of cgroups that root may write and everybody read,
// with owner and mode, and the extended attributes.
func cgroupFacts(t *testing.T, dirs []string) (facts []string) {
	for _, dir := range dirs {
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Error(err)
			continue
		}
		value := make([]byte, 100)
		if n, err := unix.Getxattr(dir, "trusted.invocation_id", value); err == nil {
			facts = append(facts, dir+" trusted.invocation_id "+string(value[:n]))
		}
		for _, f := range files {
			var st unix.Stat_t
			file := filepath.Join(dir, f.Name())
			if err := unix.Stat(file, &st); err != nil || f.IsDir() {
				continue
			}
			fact := file + " " + os.FileMode(st.Mode&0o7777).String()
			if st.Uid != 0 || st.Gid != 0 {
				fact += " of another"
			}
			readable := st.Mode&0o600 == 0o600 || f.Name() == "devices.list" || f.Name() == "cgroup.controllers"
			counts := slices.ContainsFunc([]string{"peak", "usage", "failcnt", "pressure", "tasks", "procs", "threads", "tcp.limit", "slabinfo"}, func(s string) bool { return strings.Contains(f.Name(), s) })
			if text, err := os.ReadFile(file); err == nil && readable && !counts {
				fact += " " + string(text)
			}
			facts = append(facts, fact)
		}
	}
	return facts
}
