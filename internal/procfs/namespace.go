package procfs

import (
	"strconv"
	"strings"
)

// ParseNamespace takes apart what /proc/PID/ns/KIND leads to, and what mountinfo has
// of a namespace that is mounted: "uts:[4026531838]" (ns_get_name, fs/nsfs.c).
func ParseNamespace(text string) (kind string, inode uint64, ok bool) {
	kind, number, found := strings.Cut(text, ":[")
	if !found || strings.Contains(kind, "/") || !strings.HasSuffix(number, "]") {
		return "", 0, false
	}
	switch kind {
	case "mnt", "uts", "ipc", "pid", "net", "user", "cgroup", "time":
	default:
		return "", 0, false
	}
	inode, err := strconv.ParseUint(strings.TrimSuffix(number, "]"), 10, 64)
	return kind, inode, err == nil
}
