package container

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"lxc-checkpoint/internal/procfs"
)

func TestIDMaps(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "c"), 0o755); err != nil {
		t.Fatal(err)
	}
	read := func(text string) *Config {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "c", "config"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		// One that ends in a slash need not exist.
		c, err := ReadConfig("c", dir, Overrides{Define: []string{"lxc.include=" + dir + "/none/"}})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	uids, gids, err := read("lxc.idmap = u 1000 5000 1\nlxc.idmap = u 0 100000 1000\nlxc.idmap = b 2000 7000 3\n").IDMaps()
	wantU := []procfs.IDRange{{Inside: 0, Outside: 100000, Count: 1000}, {Inside: 1000, Outside: 5000, Count: 1}, {Inside: 2000, Outside: 7000, Count: 3}}
	wantG := []procfs.IDRange{{Inside: 2000, Outside: 7000, Count: 3}}
	if err != nil || !reflect.DeepEqual(uids, wantU) || !reflect.DeepEqual(gids, wantG) {
		t.Errorf("users %v, groups %v, %v", uids, gids, err)
	}
	if uids, gids, err := read("lxc.idmap = u 0 1 1\nlxc.idmap =\n").IDMaps(); err != nil || len(uids)+len(gids) > 0 {
		t.Errorf("taken back: users %v, groups %v, %v", uids, gids, err)
	}
	for _, bad := range []string{"u 0 1", "x 0 1 2", "u 0 1 4294967296", "u 0 -1 2"} {
		if _, _, err := read("lxc.idmap = " + bad + "\n").IDMaps(); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
