package elsewhere

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// UserNamespace makes a user namespace with maps, as /proc/PID/uid_map and gid_map
// take them, and no process in it.
func UserNamespace(uids, gids string) (fd int, err error) {
	fd = -1
	err = visit(unix.CLONE_NEWUSER, -1, 0, func(pid int) (err error) {
		for _, m := range []struct{ file, text string }{{"uid_map", uids}, {"gid_map", gids}} {
			if err := os.WriteFile(fmt.Sprintf("/proc/%d/%s", pid, m.file), []byte(m.text), 0); err != nil {
				return err
			}
		}
		fd, err = unix.Open(fmt.Sprintf("/proc/%d/ns/user", pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		return err
	})
	return fd, err
}
