package procfs

import (
	"fmt"
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
	return mountinfo.GetMountsFromReader(f, nil)
}
