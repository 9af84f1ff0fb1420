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
// allow (capabilities(7)).
func Credentials(p place.Process, c *format.Credentials, have *procfs.Status) error {
	if lost := c.CapBounding &^ have.CapBnd; lost != 0 {
		return fmt.Errorf("the image's bounding set has capability %d, which this host or the container's config withholds", firstBit(lost))
	}
	if lost := (c.CapPermitted | c.CapInheritable) &^ have.CapPrm; lost != 0 {
		return fmt.Errorf("the task had capability %d, which this host or the container's config withholds", firstBit(lost))
	}
	if err := setIDs(p, c, have); err != nil {
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

func setIDs(p place.Process, c *format.Credentials, have *procfs.Status) error {
	addr, _ := p.Scratch()
	groups := make([]byte, 4*len(c.Groups))
	for i, g := range c.Groups {
		le.PutUint32(groups[4*i:], g)
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
	add("supplementary groups (needs CAP_SETGID)", unix.SYS_SETGROUPS, uint64(len(c.Groups)), addr)
	add("keep capabilities", unix.SYS_PRCTL, unix.PR_SET_KEEPCAPS, 1, 0, 0, 0)
	add("group ids (needs CAP_SETGID)", unix.SYS_SETRESGID, uint64(c.Gid), uint64(c.Egid), uint64(c.Sgid))
	add("file system group id", unix.SYS_SETFSGID, uint64(c.Fsgid))
	add("user ids (needs CAP_SETUID)", unix.SYS_SETRESUID, uint64(c.Uid), uint64(c.Euid), uint64(c.Suid))
	add("file system user id", unix.SYS_SETFSUID, uint64(c.Fsuid))
	add("keep capabilities no longer", unix.SYS_PRCTL, unix.PR_SET_KEEPCAPS, 0, 0, 0, 0)
	return runAll(p, calls, func(i int) string { return about[i] })
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
