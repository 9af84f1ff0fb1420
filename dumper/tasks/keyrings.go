package tasks

import (
	"fmt"

	"lxc-checkpoint/image/format"

	"golang.org/x/sys/unix"
)

// keyrings refuses a task whose own keyring, or whose process's, holds keys:
// their numbers are the kernel's to choose, and some can't be read. One that is
// empty the kernel makes again when it is needed.
//
// The lookup finds a keyring only if it is there (keyctl(2),
// KEYCTL_GET_KEYRING_ID without create). It is never done for the session's:
// where a task has none, that would give it its user's (lookup_user_key,
// security/keys/process_keys.c).
func (k *looking) keyrings(q *question, f *format.Task) {
	for _, ring := range []struct {
		id   int
		name string
	}{
		{unix.KEY_SPEC_THREAD_KEYRING, "its own keyring (@t)"},
		{unix.KEY_SPEC_PROCESS_KEYRING, "its process's keyring (@p)"},
	} {
		const size = 4 // of a key's number
		id := uint64(int64(ring.id))
		if _, e := q.try(unix.SYS_KEYCTL, unix.KEYCTL_GET_KEYRING_ID, id, 0); e != 0 || q.err != nil {
			continue // ENOKEY, or ENOSYS
		}
		n, e := q.try(unix.SYS_KEYCTL, unix.KEYCTL_READ, id, 0, 0)
		if e == 0 && q.err == nil && n == 0 {
			continue
		}
		held := fmt.Sprintf("holds %d keys", n/size)
		if e != 0 {
			held = "can't be read (" + e.Error() + ")"
		}
		k.refuse(fmt.Sprintf("task %d", f.Tid), "keyring", ring.name+" "+held+", which a restart can't make again",
			"have it drop them (keyctl clear), or keep them in its user's keyring (@u), which is the host's")
	}
}
