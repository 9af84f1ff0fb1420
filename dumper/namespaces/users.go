package namespaces

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/dumper/view"
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/elsewhere"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/internal/sys"
)

// owners finds out which user namespace each namespace belongs to. That may be
// one that no task is in any more (unshare -U in unshare -U).
func (r *Result) owners(ids *view.IDs, host uint64) error {
	for i := 0; i < len(r.order); i++ { // it grows
		o := r.order[i]
		if !o.Own {
			continue
		}
		if err := r.owner(ids, o, host); err != nil {
			return fmt.Errorf("user namespace of %s: %w", o.path(), err)
		}
	}
	for _, o := range r.order {
		if o.Kind == format.NamespaceKind_PID && o.nested && o.Own {
			if err := r.parent(o); err != nil {
				return fmt.Errorf("pid namespace around %s: %w", o.path(), err)
			}
		}
	}
	// Each user and pid namespace after those around it.
	slices.SortStableFunc(r.order, func(a, b *object) int { return cmp.Compare(r.depth(a), r.depth(b)) })
	return nil
}

// depth is how many of the container's namespaces there are around one of users
// or of pids; -1 for the others.
func (r *Result) depth(o *object) int {
	around := (*format.Namespace).GetOwner
	switch o.Kind {
	case format.NamespaceKind_USER:
	case format.NamespaceKind_PID:
		around = (*format.Namespace).GetParent
	default:
		return -1
	}
	n := 0
	for id := around(o.Namespace); id != 0; n++ {
		id = around(r.byID(id).Namespace)
	}
	return n
}

// parent notes which pid namespace is around one that a program has made.
func (r *Result) parent(o *object) error {
	fd, err := unix.Open(o.path(), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	around, err := unix.IoctlRetInt(fd, unix.NS_GET_PARENT)
	if err != nil {
		return os.NewSyscallError("ioctl NS_GET_PARENT", err)
	}
	defer unix.Close(around)
	var st unix.Stat_t
	if err := unix.Fstat(around, &st); err != nil {
		return err
	}
	// Its first process can't have ended, so it is one of the container's.
	if p := r.objects[key{format.NamespaceKind_PID, st.Ino}]; p != nil && p.nested {
		o.Parent = p.Id
	}
	return nil
}

func (r *Result) byID(id uint32) *object {
	i := slices.IndexFunc(r.order, func(o *object) bool { return o.Id == id })
	return r.order[i]
}

// owner notes which one a namespace belongs to; of one of users, it is the one
// around it.
func (r *Result) owner(ids *view.IDs, o *object, host uint64) error {
	fd, err := unix.Open(o.path(), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	owner, err := unix.IoctlRetInt(fd, unix.NS_GET_USERNS)
	if err != nil {
		return os.NewSyscallError("ioctl NS_GET_USERNS", err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(owner, &st); err != nil {
		unix.Close(owner)
		return err
	}
	if st.Ino == host {
		unix.Close(owner)
		return nil
	}
	around := r.objects[key{format.NamespaceKind_USER, st.Ino}]
	if around == nil {
		around = &object{
			Namespace: &format.Namespace{Id: ids.Next(), Kind: format.NamespaceKind_USER, Inode: st.Ino, Own: true},
			name:      "user", fd: owner, nested: true, who: o.who,
		}
		r.objects[key{format.NamespaceKind_USER, st.Ino}] = around
		r.order = append(r.order, around)
	} else {
		unix.Close(owner)
	}
	o.Owner = around.Id
	return nil
}

// users reads the maps of a user namespace, and who made it.
func users(_ *Result, o *object) error {
	if !o.Own {
		return nil
	}
	o.User = &format.UserNamespace{}
	fd, err := unix.Open(o.path(), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if o.User.Owner, err = sys.NamespaceOwner(fd); err != nil {
		return os.NewSyscallError("ioctl NS_GET_OWNER_UID", err)
	}
	if o.pid != 0 {
		return readUsers(o.User, o.pid)
	}
	// The files that tell of it are those of a task in it: of one of ours.
	return elsewhere.Visit(fd, unix.CLONE_NEWUSER, func(pid int) error { return readUsers(o.User, pid) })
}

func readUsers(u *format.UserNamespace, pid int) error {
	for _, m := range []struct {
		file string
		to   *[]*format.IdRange
	}{{"uid_map", &u.Uids}, {"gid_map", &u.Gids}} {
		ranges, err := procfs.ReadIDMap(fmt.Sprintf("/proc/%d/%s", pid, m.file))
		if err != nil {
			return err
		}
		for _, r := range ranges {
			*m.to = append(*m.to, &format.IdRange{Inside: r.Inside, Outside: r.Outside, Count: r.Count})
		}
	}
	text, err := procfs.ReadFile(fmt.Sprintf("/proc/%d/setgroups", pid))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	u.GroupsDenied = string(text) == "deny\n"
	return err
}
