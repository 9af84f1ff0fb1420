package harness

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// FirstID is the number on the host of the first user and group of a container that
// has a user namespace of its own, and IDs how many it has.
const (
	FirstID = 200000
	IDs     = 65536
)

// IDMapLines say so in LXC's config.
func IDMapLines() []string {
	return []string{fmt.Sprintf("lxc.idmap = u 0 %d %d", FirstID, IDs), fmt.Sprintf("lxc.idmap = g 0 %d %d", FirstID, IDs)}
}

// WriteIDMaps has LXC write the maps of user namespaces by itself, as it does where
// there is no newuidmap(1): that one gives root only what this machine's /etc/subuid
// says. LXC leaves alone one that is not set-user-id (lxc_map_ids, src/lxc/conf.c of
// LXC 5.0).
func WriteIDMaps(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"newuidmap", "newgidmap"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\nexit 1\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}
