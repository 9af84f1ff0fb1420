package tasks

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/restorer/place"
)

// Numbers of keyrings by which a task means its own (keyctl(2)).
const (
	ownSession = 1<<64 - 3 // KEY_SPEC_SESSION_KEYRING
	ownUsers   = 1<<64 - 4 // KEY_SPEC_USER_KEYRING
)

// Anonymous is what the kernel calls a session keyring that got no name.
const Anonymous = "_ses"

// ErrKeyringName: there is another keyring of that name.
var ErrKeyringName = errors.New("another keyring has that name as well (see /proc/keys)")

// MakeKeyring gives a task a new session keyring with a name and with the keys of
// one, and returns its serial number. Others may join it until SettleKeyring.
func MakeKeyring(p place.Process, ring *format.SessionKeyring, name string) (serial uint64, err error) {
	b := &batch{}
	at := uint64(0)
	if name != Anonymous {
		if keys, err := procfs.ReadFile("/proc/keys"); err != nil || strings.Contains(string(keys), " "+name+": ") {
			return 0, errors.Join(ErrKeyringName, err)
		}
		at = b.put(p, append([]byte(name), 0))
	}
	if serial, err = call(p, b, "make", unix.SYS_KEYCTL, unix.KEYCTL_JOIN_SESSION_KEYRING, at); err != nil {
		return 0, err
	}
	const allForUser = 0x3f3f0000 // KEY_POS_ALL | KEY_USR_ALL
	if _, err := call(p, b, "open", unix.SYS_KEYCTL, unix.KEYCTL_SETPERM, ownSession, allForUser); err != nil {
		return 0, err
	}
	for _, k := range ring.Keys {
		kind, name, payload := b.put(p, []byte("user\x00")), b.put(p, append([]byte(k.Name), 0)), b.put(p, k.Payload)
		key, err := call(p, b, fmt.Sprintf("key %q", k.Name), unix.SYS_ADD_KEY, kind, name, payload, uint64(len(k.Payload)), ownSession)
		if err == nil {
			err = belong(p, key, k.Uid, k.Gid, k.Permissions)
		}
		if err != nil {
			return 0, fmt.Errorf("key %q: %w", k.Name, err)
		}
	}
	return serial, nil
}

// call makes one call, with the memory of a batch.
func call(p place.Process, b *batch, what string, nr uint64, args ...uint64) (uint64, error) {
	addr, _ := p.Scratch()
	if err := p.Write(addr, b.memory); err != nil {
		return 0, err
	}
	*b = batch{}
	n, err := p.Call(nr, args...)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", what, err)
	}
	return n, nil
}

// belong gives a key or keyring to whom it belonged. In a user namespace that a
// program has made, it can't be given away; it is the one of who makes it there.
func belong(p place.Process, key uint64, uid, gid, permissions uint32) error {
	if _, err := p.Call(unix.SYS_KEYCTL, unix.KEYCTL_CHOWN, key, uint64(uid), uint64(gid)); err != nil && !errors.Is(err, unix.EACCES) {
		return fmt.Errorf("give it to user %d: %w", uid, err)
	}
	if _, err := p.Call(unix.SYS_KEYCTL, unix.KEYCTL_SETPERM, key, uint64(permissions)); err != nil {
		return fmt.Errorf("its permissions: %w", err)
	}
	return nil
}

// JoinKeyring gives a task a session keyring that MakeKeyring has made. By its name
// the kernel finds it, unless another of that name lets itself be searched as
// well: mostly they don't.
func JoinKeyring(p place.Process, name string, serial uint64) error {
	b := &batch{}
	at := b.put(p, append([]byte(name), 0))
	got, err := call(p, b, "join", unix.SYS_KEYCTL, unix.KEYCTL_JOIN_SESSION_KEYRING, at)
	if err == nil && got != serial {
		err = ErrKeyringName
	}
	return err
}

// SettleKeyring gives the keyring of a task to whom it belonged.
func SettleKeyring(p place.Process, ring *format.SessionKeyring) error {
	return belong(p, ownSession, ring.Uid, ring.Gid, ring.Permissions)
}

// LinkKeyring links the keyring of a task's user into its session's.
func LinkKeyring(p place.Process) error {
	_, err := p.Call(unix.SYS_KEYCTL, unix.KEYCTL_LINK, ownUsers, ownSession)
	return err
}
