package namespaces

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/restorer/place"
	"lxc-checkpoint/tracee"
)

// Forker makes a process for a while: a copy of the container's first one, with
// whatever number the kernel gives it.
type Forker func() (p place.Process, end func() error, err error)

// keeper is a process in a user namespace, with all rights there: it makes what
// belongs to that. It ends before the container's processes are made.
type keeper struct {
	place.Process
	end func() error
}

// keeperOf is the keeper of a user namespace; nil if that is the host's, where
// we do it ourselves.
func (r *Root) keeperOf(users uint32) *keeper { return r.keepers[users] }

// dismiss ends the keepers.
func (r *Root) dismiss() error {
	var err error
	for _, k := range r.keepers {
		err = errors.Join(err, k.end())
	}
	r.keepers = map[uint32]*keeper{}
	return err
}

// makeUsers makes the user namespaces, those around others first, and leaves a
// keeper in each, and in the first process's.
func (r *Root) makeUsers() error {
	first := firstSet(r.skeleton)
	for _, n := range r.skeleton.Namespaces {
		if n.Kind != format.NamespaceKind_USER || !n.Own {
			continue
		}
		p, end, err := r.fork()
		if err != nil {
			return fmt.Errorf("a process to make a user namespace with: %w", err)
		}
		r.keepers[n.Id] = &keeper{p, end}
		if slices.Contains(first, n.Id) {
			continue // the stage has made it
		}
		if err := r.makeUserNamespace(p, n); err != nil {
			return fmt.Errorf("make a user namespace of the container: %w", err)
		}
	}
	return nil
}

// makeUserNamespace has a process make one, in the one around it.
func (r *Root) makeUserNamespace(p place.Process, n *format.Namespace) error {
	if err := r.enterUsers(p, n.Owner); err != nil {
		return err
	}
	write := hostWriter(p)
	if k := r.keeperOf(n.Owner); k != nil {
		dir, err := unix.Open(fmt.Sprintf("/proc/%d", p.PID()), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(dir)
		sent, err := k.Send([]int{dir})
		if err != nil {
			return err
		}
		defer k.Call(unix.SYS_CLOSE, uint64(sent[0]))
		write = func(name, text string) error { return place.WriteFile(k, sent[0], name, text) }
	}
	if err := unshareUsers(r.skeleton, p, n, write); err != nil {
		return err
	}
	fd, err := openNS(fmt.Sprintf("/proc/%d/ns/user", p.PID()))
	if err != nil {
		return err
	}
	r.namespaces[n.Id] = fd
	return nil
}

// UnshareUsers has a process of the host make the user namespace of the container's
// first process, and be the root of it.
func UnshareUsers(s *format.Skeleton, p place.Process, n *format.Namespace) error {
	if err := unshareUsers(s, p, n, hostWriter(p)); err != nil {
		return fmt.Errorf("make the container's user namespace: %w", err)
	}
	return nil
}

// writer writes a file of a process in /proc.
type writer func(name, text string) error

func hostWriter(p place.Process) writer {
	return func(name, text string) error {
		return os.WriteFile(fmt.Sprintf("/proc/%d/%s", p.PID(), name), []byte(text), 0)
	}
}

// unshareUsers has a process make a user namespace in that in which it is, as the
// user who is to be its owner (create_user_ns, kernel/user_namespace.c). write is
// somebody's who is in the one around it.
func unshareUsers(s *format.Skeleton, p place.Process, n *format.Namespace, write writer) error {
	around := s.UsersIn(n.Owner)
	owner, ok := around.UID(n.User.Owner)
	if !ok {
		return fmt.Errorf("its owner, user %d of the host, is none of those in the one around it", n.User.Owner)
	}
	group := uint64(same)
	if around != nil && len(around.Gids) > 0 {
		group = uint64(around.Gids[0].Inside) // it must have one that is known there
	}
	for _, c := range []tracee.Call{
		{Nr: unix.SYS_SETRESGID, Args: [6]uint64{same, group, same}},
		{Nr: unix.SYS_SETRESUID, Args: [6]uint64{same, uint64(owner), same}},
		{Nr: unix.SYS_UNSHARE, Args: [6]uint64{unix.CLONE_NEWUSER}},
		// So that its files in /proc belong to the owner, whose namespace the maps are
		// written from.
		{Nr: unix.SYS_PRCTL, Args: [6]uint64{unix.PR_SET_DUMPABLE, 1}},
	} {
		if _, err := p.Call(c.Nr, c.Args[:]...); err != nil {
			return fmt.Errorf("system call %d (user.max_user_namespaces limits how many there are): %w", c.Nr, err)
		}
	}
	if err := writeUsers(s, n, write); err != nil {
		return err
	}
	// What it makes belongs to its root: /dev/pts/ptmx, the directory of mqueue.
	return becomeRoot(p, n.User)
}

var le = binary.LittleEndian

// same leaves an id as it is (setresuid(2)).
const same = 1<<32 - 1

// enterUsers has a process enter a user namespace, where it then has all rights.
func (r *Root) enterUsers(p place.Process, users uint32) error {
	if users == 0 || slices.Contains(firstSet(r.skeleton), users) {
		return nil
	}
	return r.setns(p, users, unix.CLONE_NEWUSER)
}

func (r *Root) setns(p place.Process, id uint32, flag uint64) error {
	fd, ok := r.namespaces[id]
	if !ok {
		return fmt.Errorf("namespace %d of the image has not been made", id)
	}
	sent, err := p.Send([]int{fd})
	if err != nil {
		return err
	}
	_, err = p.Call(unix.SYS_SETNS, uint64(sent[0]), flag)
	_, closing := p.Call(unix.SYS_CLOSE, uint64(sent[0]))
	return errors.Join(err, closing)
}

// writeUsers writes the maps of a namespace, from the namespace around it: no other
// one may, nor one deeper (user_namespaces(7)).
func writeUsers(s *format.Skeleton, n *format.Namespace, write writer) error {
	around := s.UsersIn(n.Owner)
	if n.User.GroupsDenied && !s.Namespace(n.Owner).GetUser().GetGroupsDenied() {
		// Before the map of groups, which makes it final.
		if err := write("setgroups", "deny"); err != nil {
			return fmt.Errorf("write its setgroups: %w", err)
		}
	}
	for _, m := range []struct {
		name   string
		ranges []*format.IdRange
		up     func(uint32) (uint32, bool)
	}{{"uid_map", n.User.Uids, around.UID}, {"gid_map", n.User.Gids, around.GID}} {
		var text strings.Builder
		for _, g := range m.ranges {
			outside, ok := m.up(g.Outside)
			if !ok {
				return fmt.Errorf("it maps id %d of the host, which the one around it has not", g.Outside)
			}
			fmt.Fprintf(&text, "%d %d %d\n", g.Inside, outside, g.Count)
		}
		if text.Len() == 0 {
			continue
		}
		if err := write(m.name, text.String()); err != nil {
			return fmt.Errorf("write its %s: %w", m.name, err)
		}
	}
	return nil
}

// enterAs puts a process into its user namespace, from the one that it was
// born into. What of its identity the new one has no words for, it gets before:
// groups where they can't be set any more, and ids without a number there.
func (r *Root) enterAs(p place.Process, from, to uint32, c *format.Credentials) error {
	have, err := procfs.ReadStatus(p.PID())
	if err != nil {
		return err
	}
	users, around := r.skeleton.UsersIn(to), r.skeleton.UsersIn(from)
	if !slices.Equal(have.Groups, c.GetGroups()) && !canSetGroups(users, c.GetGroups()) {
		if err := setGroups(p, around, c.GetGroups()); err != nil {
			return fmt.Errorf("its groups, before it enters its user namespace: %w", err)
		}
	}
	if !isMapped(users, c) {
		if err := setIdentity(p, around, c, have.CapPrm); err != nil {
			return fmt.Errorf("its ids, before it enters its user namespace: %w", err)
		}
	}
	if err := r.setns(p, to, unix.CLONE_NEWUSER); err != nil {
		return fmt.Errorf("enter its user namespace: %w", err)
	}
	return r.BecomeRoot(p, to, c)
}

// BecomeRoot makes a process that is in a user namespace the root of that, as the
// first process is the container's, until it gets its own ids. One with ids that
// have no number there has got them before.
func (r *Root) BecomeRoot(p place.Process, users uint32, c *format.Credentials) error {
	u := r.skeleton.UsersIn(users)
	if u == nil || !isMapped(u, c) {
		return nil
	}
	return becomeRoot(p, (*format.UserNamespace)(u))
}

func becomeRoot(p place.Process, u *format.UserNamespace) error {
	if !hasRoot(u.Uids) || !hasRoot(u.Gids) {
		return nil
	}
	for _, nr := range []uint64{unix.SYS_SETRESGID, unix.SYS_SETRESUID} {
		if _, err := p.Call(nr, 0, 0, 0); err != nil {
			return fmt.Errorf("become the root of its user namespace: %w", err)
		}
	}
	return nil
}

func hasRoot(ranges []*format.IdRange) bool {
	return slices.ContainsFunc(ranges, func(r *format.IdRange) bool { return r.Inside == 0 })
}

// canSetGroups tells whether a task of a user namespace can give itself groups.
func canSetGroups(u *format.Users, groups []uint32) bool {
	return u != nil && !u.GroupsDenied && !slices.ContainsFunc(groups, func(g uint32) bool { _, ok := u.GID(g); return !ok })
}

// isMapped tells whether a user namespace has all ids of a task.
func isMapped(u *format.Users, c *format.Credentials) bool {
	for _, id := range []uint32{c.GetUid(), c.GetEuid(), c.GetSuid(), c.GetFsuid()} {
		if _, ok := u.UID(id); !ok {
			return false
		}
	}
	for _, id := range []uint32{c.GetGid(), c.GetEgid(), c.GetSgid(), c.GetFsgid()} {
		if _, ok := u.GID(id); !ok {
			return false
		}
	}
	return true
}

func setGroups(p place.Process, u *format.Users, groups []uint32) error {
	var b []byte
	for _, g := range groups {
		id, ok := u.GID(g)
		if !ok {
			return fmt.Errorf("group %d of the host has no number there", g)
		}
		b = le.AppendUint32(b, id)
	}
	addr, _ := p.Scratch()
	if err := p.Write(addr, b); err != nil {
		return err
	}
	_, err := p.Call(unix.SYS_SETGROUPS, uint64(len(groups)), addr)
	return err
}

// setIdentity gives a process all ids of a task, and keeps its capabilities.
func setIdentity(p place.Process, u *format.Users, c *format.Credentials, permitted uint64) error {
	var ids []uint64
	for i, id := range []uint32{c.GetGid(), c.GetEgid(), c.GetSgid(), c.GetFsgid(), c.GetUid(), c.GetEuid(), c.GetSuid(), c.GetFsuid()} {
		translate := u.UID
		if i < 4 {
			translate = u.GID
		}
		there, ok := translate(id)
		if !ok {
			return fmt.Errorf("id %d of the host has no number there", id)
		}
		ids = append(ids, uint64(there))
	}
	const version3 = 0x20080522
	addr, _ := p.Scratch()
	b := le.AppendUint32(le.AppendUint32(nil, version3), 0)
	for _, half := range []uint32{uint32(permitted), uint32(permitted >> 32)} {
		b = le.AppendUint32(le.AppendUint32(le.AppendUint32(b, half), half), 0)
	}
	if err := p.Write(addr, b); err != nil {
		return err
	}
	for _, c := range []tracee.Call{
		{Nr: unix.SYS_PRCTL, Args: [6]uint64{unix.PR_SET_KEEPCAPS, 1}},
		{Nr: unix.SYS_SETRESGID, Args: [6]uint64{ids[0], ids[1], ids[2]}},
		{Nr: unix.SYS_SETRESUID, Args: [6]uint64{ids[4], ids[5], ids[6]}},
		{Nr: unix.SYS_CAPSET, Args: [6]uint64{addr, addr + 8}},
		{Nr: unix.SYS_SETFSGID, Args: [6]uint64{ids[3]}},
		{Nr: unix.SYS_SETFSUID, Args: [6]uint64{ids[7]}},
	} {
		if _, err := p.Call(c.Nr, c.Args[:]...); err != nil {
			return fmt.Errorf("system call %d: %w", c.Nr, err)
		}
	}
	return nil
}
