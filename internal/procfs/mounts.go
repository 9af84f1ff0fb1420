package procfs

import (
	"fmt"
	"io"
	"os"

	"github.com/moby/sys/mountinfo"
)

// Mount is a line of /proc/PID/mountinfo (proc_pid_mountinfo(5)).
type Mount = mountinfo.Info

// ReadMounts reads /proc/PID/mountinfo.
func ReadMounts(pid int) ([]*Mount, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/mountinfo", pid))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ParseMounts(f)
}

// ParseMounts parses the text of a mountinfo file.
func ParseMounts(r io.Reader) ([]*Mount, error) { return mountinfo.GetMountsFromReader(r, nil) }

// ParentsFirst orders the mounts of a namespace. The one whose parent is not among
// them is the root; what does not hang together with it is left out.
func ParentsFirst(all []*Mount) []*Mount {
	children, known := map[int][]*Mount{}, map[int]bool{}
	for _, m := range all {
		known[m.ID] = true
	}
	var order []*Mount
	for _, m := range all {
		switch {
		case known[m.Parent] && m.Parent != m.ID:
			children[m.Parent] = append(children[m.Parent], m)
		case len(order) == 0:
			order = append(order, m)
		}
	}
	for i := 0; i < len(order); i++ {
		order = append(order, children[order[i].ID]...)
	}
	return order
}
