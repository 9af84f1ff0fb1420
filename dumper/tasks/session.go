package tasks

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/tracee"
)

// sessionKeyring notes which session keyring a task has, and looks at one that no
// task before had: its keys open to those who have it in their session, so only
// such a task can be asked. at is the kernel's address of the keyring, 0 for none:
// a task that has none is never asked, since the kernel would give it its user's
// (lookup_user_key, security/keys/process_keys.c).
func (k *looking) sessionKeyring(ctx context.Context, t *tracee.Thread, f *format.Task, at uint64) error {
	if at == 0 {
		return nil
	}
	id, known := k.sessions[at]
	if !known {
		ring := &format.SessionKeyring{}
		err := k.asking(ctx, t, func(q *question) { k.readKeyring(q, f, ring) })
		if err != nil {
			return fmt.Errorf("session keyring: %w", err)
		}
		// What the first process got is empty mostly; its restarted self gets another
		// one. A user's own (@us) is what tasks without any have.
		begotten := len(k.sessions) == 0 && k.p == k.root && len(ring.Keys)+len(ring.Users) == 0
		if !begotten && !strings.HasPrefix(ring.Name, userSession) {
			id = k.ids.Next()
			ring.Id = id
			k.found.SessionKeyrings = append(k.found.SessionKeyrings, ring)
		}
		k.sessions[at] = id
	}
	f.SessionKeyring = id
	return nil
}

// Names that the kernel gives to users' keyrings, before their numbers
// (look_up_user_keyrings).
const (
	userSession = "_uid_ses."
	userKeyring = "_uid."
)

// readKeyring has the task read what is in its session keyring.
func (k *looking) readKeyring(q *question, f *format.Task, ring *format.SessionKeyring) {
	id := uint64(1<<64 - 3) // KEY_SPEC_SESSION_KEYRING
	about, err := q.describe(id)
	if q.err != nil || err != nil {
		k.refuseKey(f, "its session keyring", err)
		return
	}
	ring.Name, ring.Uid, ring.Gid, ring.Permissions = about.name, about.uid, about.gid, about.permissions
	serials, e := q.read(id)
	if e != 0 || q.err != nil {
		k.refuseKey(f, "its session keyring "+ring.Name, e)
		return
	}
	for ; len(serials) >= 4; serials = serials[4:] {
		serial := uint64(binary.NativeEndian.Uint32(serials))
		if q.err != nil {
			return
		}
		k.readKey(q, f, ring, serial)
	}
}

// readKey has the task read one key.
func (k *looking) readKey(q *question, f *format.Task, ring *format.SessionKeyring, serial uint64) {
	about, err := q.describe(serial)
	user, isUsers := strings.CutPrefix(about.name, userKeyring)
	uid, notNumber := strconv.ParseUint(user, 10, 32)
	what := fmt.Sprintf("key %q of type %s in its session keyring", about.name, about.kind)
	switch {
	case q.err != nil:
	case gone(err):
	case err != nil:
		k.refuseKey(f, fmt.Sprintf("key %d in its session keyring", serial), err)
	case about.kind == "keyring" && isUsers && notNumber == nil:
		ring.Users = append(ring.Users, uint32(uid))
	case about.kind != "user":
		k.refuse(fmt.Sprintf("task %d", f.Tid), "keyring", what+": only those of type user can be made again", "have it drop that key (keyctl unlink)")
	default:
		payload, e := q.read(serial)
		switch {
		case gone(e):
		case e != 0:
			k.refuseKey(f, what, e)
		default:
			ring.Keys = append(ring.Keys, &format.Key{
				Name: about.name, Payload: bytes.Clone(payload), Uid: about.uid, Gid: about.gid, Permissions: about.permissions,
			})
		}
	}
}

// gone says that a key is as good as not there.
func gone(err error) bool {
	return err == unix.EKEYEXPIRED || err == unix.EKEYREVOKED || err == unix.ENOKEY
}

func (k *looking) refuseKey(f *format.Task, what string, err error) {
	k.refuse(fmt.Sprintf("task %d", f.Tid), "keyring", fmt.Sprintf("%s can't be read (%v), which a restart has to make again", what, err),
		"have it allow its owner to read it (keyctl setperm), or drop it (keyctl unlink)")
}

// keyAbout is what KEYCTL_DESCRIBE tells.
type keyAbout struct {
	kind, name  string
	uid, gid    uint32
	permissions uint32
}

// describe asks about a key. The error is the kernel's answer.
func (q *question) describe(id uint64) (a keyAbout, err error) {
	n, e := q.try(unix.SYS_KEYCTL, unix.KEYCTL_DESCRIBE, id, q.scratch, scratchSize)
	if e != 0 {
		return a, e
	}
	text := make([]byte, min(n, scratchSize))
	if q.err != nil || q.readMemory(text) != nil {
		return a, q.err
	}
	words := strings.SplitN(strings.TrimRight(string(text), "\x00"), ";", 5)
	if len(words) < 5 {
		return a, unix.EPROTO
	}
	uid, err1 := strconv.ParseInt(words[1], 10, 64)
	gid, err2 := strconv.ParseInt(words[2], 10, 64)
	permissions, err3 := strconv.ParseUint(words[3], 16, 32)
	if err1 != nil || err2 != nil || err3 != nil {
		return a, unix.EPROTO
	}
	return keyAbout{words[0], words[4], uint32(uid), uint32(gid), uint32(permissions)}, nil
}

// read reads a key's payload, or the serial numbers of a keyring.
func (q *question) read(id uint64) ([]byte, unix.Errno) {
	n, e := q.try(unix.SYS_KEYCTL, unix.KEYCTL_READ, id, 0, 0)
	if e != 0 || q.err != nil {
		return nil, e
	}
	if n > scratchSize {
		if n > format.MaxKey {
			return nil, unix.EFBIG
		}
		var err error
		if q.scratch, err = q.r.Scratch(int(n)); err != nil { // nowhere in its memory
			q.scratch, q.err = q.r.Scratch(scratchSize)
			return nil, unix.ENOMEM
		}
	}
	got, e := q.try(unix.SYS_KEYCTL, unix.KEYCTL_READ, id, q.scratch, n)
	if e != 0 || q.err != nil {
		return nil, e
	}
	b := make([]byte, min(n, got))
	if q.readMemory(b) != nil {
		return nil, 0
	}
	return b, 0
}

// readMemory reads the answer of a call.
func (q *question) readMemory(b []byte) error {
	if q.err == nil {
		q.err = q.r.Read(q.scratch, b)
	}
	return q.err
}
