package elsewhere

import (
	"fmt"

	"lxc-checkpoint/internal/sys"
)

// As runs f on a thread that makes files as another user, with all rights. The
// kernel lets nobody make files whose ids have no number in the file system, or none
// in the mapping of the mount (fsuidgid_has_mapping, include/linux/fs.h): EOVERFLOW,
// root or not.
func As(uid, gid uint32, f func() error) error {
	if uid == 0 && gid == 0 {
		return f()
	}
	return Run(func() error {
		if err := sys.ThreadFileIdentity(uid, gid); err != nil {
			return fmt.Errorf("make files as user %d: %w", uid, err)
		}
		return f()
	})
}
