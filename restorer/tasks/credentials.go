package tasks

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/restorer/place"
	"lxc-checkpoint/tracee"
)

// Credentials makes a task who it was. The order follows from what each step
// needs and takes away: a change of user ids keeps the permitted capabilities
// only under PR_SET_KEEPCAPS and clears the effective ones; bounding set and
// securebits need CAP_SETPCAP; so capabilities come last but for what they
// allow (capabilities(7)). users are those of its user namespace.
func Credentials(p place.Process, c *format.Credentials, have *procfs.Status, users *format.Users) error {
	if lost := c.CapBounding &^ have.CapBnd; lost != 0 {
		return fmt.Errorf("the image's bounding set has capability %d, which this host or the container's config withholds", firstBit(lost))
	}
	if lost := (c.CapPermitted | c.CapInheritable) &^ have.CapPrm; lost != 0 {
		return fmt.Errorf("the task had capability %d, which this host or the container's config withholds", firstBit(lost))
	}
	if err := setIDs(p, c, have, users); err != nil {
		return err
	}
	return setCapabilities(p, c, have.CapPrm)
}

// isAlready says that a task is who it was: mostly it is, since it was made by
// one that is root.
func isAlready(have *procfs.Status, c *format.Credentials) bool {
	return have.UIDs == [4]uint32{c.Uid, c.Euid, c.Suid, c.Fsuid} && have.GIDs == [4]uint32{c.Gid, c.Egid, c.Sgid, c.Fsgid} &&
		slices.Equal(have.Groups, c.Groups) && c.Securebits == 0 &&
		have.CapInh == c.CapInheritable && have.CapPrm == c.CapPermitted && have.CapEff == c.CapEffective &&
		have.CapBnd == c.CapBounding && have.CapAmb == c.CapAmbient
}

func firstBit(m uint64) int {
	for i := range 64 {
		if m&(1<<i) != 0 {
			return i
		}
	}
	return -1
}

func setIDs(p place.Process, c *format.Credentials, have *procfs.Status, users *format.Users) error {
	t := translation{users: users}
	uids := t.four([4]uint32{c.Uid, c.Euid, c.Suid, c.Fsuid}, have.UIDs, users.UID)
	gids := t.four([4]uint32{c.Gid, c.Egid, c.Sgid, c.Fsgid}, have.GIDs, users.GID)
	sameGroups := slices.Equal(have.Groups, c.Groups)
	addr, _ := p.Scratch()
	groups := make([]byte, 4*len(c.Groups))
	for i, g := range c.Groups {
		if !sameGroups {
			le.PutUint32(groups[4*i:], t.one(g, users.GID))
		}
	}
	if t.err != nil {
		return t.err
	}
	if err := p.Write(addr, groups); err != nil {
		return err
	}
	var calls []tracee.Call
	var about []string
	add := func(what string, nr uint64, args ...uint64) {
		k := tracee.Call{Nr: nr}
		copy(k.Args[:], args)
		calls, about = append(calls, k), append(about, what)
	}
	for i := range 64 {
		if bit := uint64(1) << i; have.CapBnd&bit != 0 && c.CapBounding&bit == 0 {
			add(fmt.Sprintf("drop capability %d from the bounding set (needs CAP_SETPCAP)", i), unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, uint64(i), 0, 0, 0)
		}
	}
	if !sameGroups { // a user namespace may forbid it
		add("supplementary groups (needs CAP_SETGID)", unix.SYS_SETGROUPS, uint64(len(c.Groups)), addr)
	}
	add("keep capabilities", unix.SYS_PRCTL, unix.PR_SET_KEEPCAPS, 1, 0, 0, 0)
	add("group ids (needs CAP_SETGID)", unix.SYS_SETRESGID, gids[0], gids[1], gids[2])
	add("file system group id", unix.SYS_SETFSGID, gids[3])
	add("user ids (needs CAP_SETUID)", unix.SYS_SETRESUID, uids[0], uids[1], uids[2])
	add("file system user id", unix.SYS_SETFSUID, uids[3])
	add("keep capabilities no longer", unix.SYS_PRCTL, unix.PR_SET_KEEPCAPS, 0, 0, 0, 0)
	return runAll(p, calls, func(i int) string { return about[i] })
}

// translation finds out what ids of the host are called in a user namespace.
type translation struct {
	users *format.Users
	err   error
}

func (t *translation) one(host uint32, inside func(uint32) (uint32, bool)) uint32 {
	id, ok := inside(host)
	if !ok && t.err == nil {
		t.err = fmt.Errorf("id %d of the host has no number in its user namespace", host)
	}
	return id
}

// four translates the four ids of a task. One that it has already stays as it
// is, whether it has a number or not.
func (t *translation) four(want, have [4]uint32, inside func(uint32) (uint32, bool)) (ids [4]uint64) {
	for i, id := range want {
		// The last one, of the file system, follows each change of the effective one.
		if ids[i] = 1<<32 - 1; id != have[i] || i == 3 && want[1] != have[1] {
			ids[i] = uint64(t.one(id, inside))
		}
	}
	return ids
}

func setCapabilities(p place.Process, c *format.Credentials, permitted uint64) error {
	if c.Securebits != 0 {
		if err := capset(p, permitted, permitted, 0); err != nil {
			return err
		}
		if _, err := p.Call(unix.SYS_PRCTL, unix.PR_SET_SECUREBITS, uint64(c.Securebits), 0, 0, 0); err != nil {
			return fmt.Errorf("securebits %#x (needs CAP_SETPCAP): %w", c.Securebits, err)
		}
	}
	if err := capset(p, c.CapEffective, c.CapPermitted, c.CapInheritable); err != nil {
		return err
	}
	for i := range 64 {
		if c.CapAmbient&(1<<i) == 0 {
			continue
		}
		if _, err := p.Call(unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, uint64(i), 0, 0); err != nil {
			return fmt.Errorf("ambient capability %d: %w", i, err)
		}
	}
	return nil
}

func capset(p place.Process, effective, permitted, inheritable uint64) error {
	const version3 = 0x20080522
	addr, _ := p.Scratch()
	b := make([]byte, 8+24)
	le.PutUint32(b, version3)
	for half := range 2 {
		at, shift := 8+12*half, 32*half
		le.PutUint32(b[at:], uint32(effective>>shift))
		le.PutUint32(b[at+4:], uint32(permitted>>shift))
		le.PutUint32(b[at+8:], uint32(inheritable>>shift))
	}
	if err := p.Write(addr, b); err != nil {
		return err
	}
	_, err := p.Call(unix.SYS_CAPSET, addr, addr+8)
	if errors.Is(err, unix.EPERM) {
		return fmt.Errorf("capabilities: permitted %#x is more than the container's config allows: %w", permitted, err)
	}
	return err
}
