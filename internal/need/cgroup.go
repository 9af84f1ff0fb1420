package need

import (
	"errors"
	"os"
	"strings"
	"sync"
)

// FreezerV1, FreezerV2 and Freezer are needs for a mounted cgroup hierarchy
// that can freeze: of v1, of v2, of either.
var (
	FreezerV1 = once("a v1 freezer", "mount -t cgroup -o freezer none DIRECTORY", func() error {
		if len(hierarchies().v1) == 0 {
			return errors.New("no cgroup hierarchy of v1 with the freezer is mounted")
		}
		return nil
	})
	FreezerV2 = once("a v2 freezer", "mount -t cgroup2 none DIRECTORY", func() error {
		if len(hierarchies().v2) == 0 {
			return errors.New("no cgroup hierarchy of v2 is mounted")
		}
		return nil
	})
	Freezer = once("a freezer", "mount -t cgroup2 none DIRECTORY", func() error {
		if len(Freezers()) == 0 {
			return errors.New("neither a cgroup hierarchy of v2 nor v1's freezer is mounted")
		}
		return nil
	})
)

// Freezers returns where the hierarchies that can freeze are mounted, v1's
// freezer first.
func Freezers() []string {
	h := hierarchies()
	var all []string
	for _, dir := range []string{h.v1, h.v2} {
		if dir != "" {
			all = append(all, dir)
		}
	}
	return all
}

// Hierarchies returns where the hierarchies of a version of cgroups are mounted,
// each once; 0: of both.
func Hierarchies(version int) []string {
	text, _ := os.ReadFile("/proc/self/mounts")
	var all []string
	seen := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 4 || f[2] == "cgroup" && version == 2 || f[2] == "cgroup2" && version == 1 || !strings.HasPrefix(f[2], "cgroup") || seen[f[2]+f[3]] {
			continue
		}
		seen[f[2]+f[3]] = true
		all = append(all, f[1])
	}
	return all
}

var hierarchies = sync.OnceValue(func() (h struct{ v1, v2 string }) {
	text, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return h
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		switch {
		case len(f) < 4:
		case f[2] == "cgroup2" && h.v2 == "":
			h.v2 = f[1]
		case f[2] == "cgroup" && h.v1 == "" && strings.Contains(","+f[3]+",", ",freezer,"):
			h.v1 = f[1]
		}
	}
	return h
})
