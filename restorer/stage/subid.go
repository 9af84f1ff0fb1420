package stage

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/refusal"
)

// checkSubordinate tells which ids LXC may not give to a container's users: where
// newuidmap(1) is installed, LXC has it write the maps, and it takes only what
// subuid(5) gives to root (lxc_map_ids, src/lxc/conf.c of LXC 5.0). An empty list: it
// may, or nobody can tell.
func checkSubordinate(uids, gids []procfs.IDRange) (list refusal.List) {
	if text, err := os.ReadFile("/etc/nsswitch.conf"); err == nil && strings.Contains("\n"+string(text), "\nsubid:") {
		return nil // others than the files say
	}
	for _, m := range []struct {
		program, file, object string
		ranges                []procfs.IDRange
	}{{"newuidmap", "/etc/subuid", "user ids", uids}, {"newgidmap", "/etc/subgid", "group ids", gids}} {
		path, err := exec.LookPath(m.program)
		if err != nil {
			return nil
		}
		if s, err := os.Stat(path); err != nil || s.Mode()&os.ModeSetuid == 0 {
			return nil
		}
		text, err := os.ReadFile(m.file)
		if err != nil && !os.IsNotExist(err) {
			return nil
		}
		for _, r := range m.ranges {
			if !mayMap(string(text), r) {
				list = append(list, &refusal.Refusal{
					Object: m.object,
					Reason: fmt.Sprintf("LXC has %s map them, which gives root none of the %d ids from %d on (%s)", m.program, r.Count, r.Outside, m.file),
					Remedy: fmt.Sprintf("add the line root:%d:%d to %s", r.Outside, r.Count, m.file),
				})
			}
		}
	}
	return list
}

// mayMap tells whether lines of subuid(5) give root all ids of a range.
func mayMap(text string, r procfs.IDRange) bool {
	at, end := uint64(r.Outside), uint64(r.Outside)+uint64(r.Count)
	for at < end {
		next := at
		for line := range strings.Lines(text) {
			f := strings.Split(strings.TrimSpace(line), ":")
			if len(f) != 3 || f[0] != "root" && f[0] != "0" {
				continue
			}
			first, err := strconv.ParseUint(f[1], 10, 32)
			count, also := strconv.ParseUint(f[2], 10, 33)
			if err == nil && also == nil && first <= at && at < first+count {
				next = max(next, first+count)
			}
		}
		if next == at {
			return false
		}
		at = next
	}
	return true
}
