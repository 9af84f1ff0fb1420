package fds

import (
	"crypto/rand"
	"errors"
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/elsewhere"
	"lxc-checkpoint/internal/sys"
	"lxc-checkpoint/refusal"
)

// A socket remembers the very bytes it was bound to (getsockname(2)), which may
// be a relative path, or one of a process that has another root. So it has to be
// bound to the same bytes again, from a directory and a root where they lead to
// the right file.

// view is a root directory and a working directory in it.
type view struct {
	root string // in the root of a mount namespace
	cwd  string // in root
}

// errElsewhere says that from some view an address does not lead to its file.
var errElsewhere = errors.New("leads elsewhere")

// bindPath binds the socket to its address so that its file is at m.Path.
func (r *Restart) bindPath(fd int, m *format.UnixSocket) error {
	dir, base, err := r.lookupDir(m.MountNamespace, m.Path)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	var want unix.Stat_t
	if err := unix.Fstat(dir, &want); err != nil {
		return fmt.Errorf("look at the directory of %s: %w", m.Path, err)
	}
	for _, name := range append([]string{base}, m.Links...) {
		if err := removeSocket(dir, name, path.Join(path.Dir(m.Path), name)); err != nil {
			return err
		}
	}
	if err := r.bindIn(fd, m, base, &want); err != nil {
		if errors.Is(err, errElsewhere) {
			return fmt.Errorf("its file was %s, and that address leads there from no root and working directory of the container's processes", m.Path)
		}
		return err
	}
	// In this order: a change of owner can take mode bits away (chown(2)).
	if err := unix.Fchownat(dir, base, int(m.Uid), int(m.Gid), unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("give %s to user %d and group %d: %w", m.Path, m.Uid, m.Gid, err)
	}
	if err := unix.Fchmodat(dir, base, m.Mode&0o7777, 0); err != nil {
		return fmt.Errorf("give %s the mode %#o: %w", m.Path, m.Mode&0o7777, err)
	}
	for _, name := range m.Links {
		if err := unix.Linkat(dir, base, dir, name, 0); err != nil {
			return fmt.Errorf("give %s its other name %s: %w", m.Path, name, err)
		}
	}
	return nil
}

// bindIn binds the socket to its address, from where that leads to the directory of
// its file, which then gets its name.
func (r *Restart) bindIn(fd int, m *format.UnixSocket, base string, want *unix.Stat_t) error {
	address := string(m.Address)
	return r.fromSomewhere(m, func() error {
		var is unix.Stat_t
		if err := unix.Stat(path.Dir(address), &is); err != nil || is.Dev != want.Dev || is.Ino != want.Ino {
			return errElsewhere
		}
		if path.Base(address) == base {
			return sys.BindUnix(fd, m.Address)
		}
		return bindAs(fd, m.Address, path.Join(path.Dir(address), base))
	})
}

// bindAs binds a socket to an address, and gives its file another name. What has the
// address now is put aside meanwhile.
func bindAs(fd int, name []byte, file string) (err error) {
	address := string(name)
	aside := path.Join(path.Dir(address), ".lxc-restart-"+rand.Text())
	switch e := unix.Rename(address, aside); {
	case e == nil:
		defer func() { err = errors.Join(err, unix.Rename(aside, address)) }()
	case !errors.Is(e, unix.ENOENT) && !errors.Is(e, unix.ENOTDIR) && !errors.Is(e, unix.EROFS):
		return fmt.Errorf("put aside what has that name now: %w", e)
	}
	switch err := sys.BindUnix(fd, name); {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.EROFS), errors.Is(err, unix.ENOTDIR):
		return errElsewhere
	case err != nil:
		return err
	}
	if err := unix.Rename(address, file); err != nil {
		return errors.Join(fmt.Errorf("name its file %s: %w", file, err), unix.Unlink(address))
	}
	return nil
}

// removeSocket removes the file that a socket left when it was closed. It
// removes nothing else.
func removeSocket(dir int, base, name string) error {
	var st unix.Stat_t
	err := unix.Fstatat(dir, base, &st, unix.AT_SYMLINK_NOFOLLOW)
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil
	case err != nil:
		return fmt.Errorf("look at %s: %w", name, err)
	case st.Mode&unix.S_IFMT != unix.S_IFSOCK:
		return noSocket(name, &st)
	}
	if err := unix.Unlinkat(dir, base, 0); err != nil {
		return fmt.Errorf("remove the socket left at %s: %w", name, err)
	}
	return nil
}

func noSocket(name string, st *unix.Stat_t) error {
	return &refusal.Refusal{Object: name, Reason: "it was a socket and is now " + describe(identityIs(st)), Remedy: "move that away"}
}

// VerifySpot tells whether a socket can have a name: nothing, or what another
// socket has left, is there.
func (r *Finder) VerifySpot(name string) error {
	dir, base, err := r.lookupDir(0, name)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	var st unix.Stat_t
	if unix.Fstatat(dir, base, &st, unix.AT_SYMLINK_NOFOLLOW) == nil && st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return noSocket(name, &st)
	}
	return nil
}

// spot is where a socket's file can be found for a while, whatever root and
// working directory a process has.
type spot struct {
	dir    int // O_PATH descriptor of ours
	base   string
	hidden bool // the file is to go
}

// remove ends the spot, and removes the file that is to go.
func (s *spot) remove() error {
	if s == nil {
		return nil
	}
	var err error
	if s.hidden {
		err = unix.Unlinkat(s.dir, s.base, 0)
	}
	unix.Close(s.dir)
	return err
}

// spotOf finds where the file of a socket is.
func (r *Restart) spotOf(f *file) (*spot, error) {
	if f.spot == nil {
		m := f.GetUnixSocket()
		dir, base, err := r.lookupDir(m.GetMountNamespace(), m.GetPath())
		if err != nil {
			return nil, err
		}
		f.spot = &spot{dir: dir, base: base}
	}
	return f.spot, nil
}

// bindHidden binds a socket whose file has been removed: to its address, from
// wherever that can be, and gives the file a name that nobody knows, under
// which others can be connected until that goes, too.
func (r *Restart) bindHidden(fd int, m *format.UnixSocket) (*spot, error) {
	address := string(m.Address)
	s := &spot{dir: -1, base: ".lxc-restart-" + rand.Text(), hidden: true}
	err := r.fromSomewhere(m, func() (err error) {
		dir := path.Dir(address)
		if err := bindAs(fd, m.Address, path.Join(dir, s.base)); err != nil {
			return err
		}
		if s.dir, err = unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
			return errors.Join(err, unix.Unlink(path.Join(dir, s.base)))
		}
		return nil
	})
	if errors.Is(err, errElsewhere) {
		err = fmt.Errorf("the directory %s does not exist any more, or cannot be written to: make it", path.Dir(address))
	}
	if err != nil {
		closeFD(&s.dir)
		return nil, err
	}
	return s, nil
}

// views lists from where an address may lead to its file, likely ones first.
func (r *Restart) views(m *format.UnixSocket) []view {
	address, file := string(m.Address), m.Path // empty if it has none
	if file != "" {
		file = path.Join(path.Dir(file), path.Base(address)) // as it was called
	}
	list := []view{{"/", "/"}}
	if path.IsAbs(address) {
		if root, ok := strings.CutSuffix(file, address); ok && root != "" {
			list = append(list, view{root, "/"})
		}
	} else if cwd, ok := strings.CutSuffix(file, "/"+address); ok && cwd != "" {
		list = append(list, view{"/", cwd})
	}
	seen := map[view]bool{}
	for _, fs := range r.skeleton.Fs {
		if fs.MountNamespace != m.MountNamespace {
			continue
		}
		v := view{root: fs.Root, cwd: "/"}
		if !path.IsAbs(address) {
			// A working directory outside of the root is of no use here.
			cwd, ok := strings.CutPrefix(fs.Cwd, strings.TrimSuffix(fs.Root, "/"))
			if !ok || !path.IsAbs(cwd) {
				v.root, cwd = "/", fs.Cwd
			}
			v.cwd = cwd
		}
		if !seen[v] {
			seen[v] = true
			list = append(list, v)
		}
	}
	return list
}

// fromSomewhere runs fn from the views of a socket until it finds its way, which it
// says by an error other than errElsewhere.
func (r *Restart) fromSomewhere(m *format.UnixSocket, fn func() error) error {
	root, err := r.rootOf(m.MountNamespace)
	if err != nil {
		return err
	}
	users := []*format.Users{r.skeleton.RootUsers()}
	if n := r.skeleton.Namespace(m.MountNamespace); n.GetOwner() != 0 {
		users = append(users, r.skeleton.UsersIn(n.Owner))
	}
	for _, u := range users {
		err = errElsewhere
		for _, v := range r.views(m) {
			if err = r.from(root, v, u, fn); !errors.Is(err, errElsewhere) {
				break
			}
		}
		// A file system of a user namespace inside has no words for others.
		if !errors.Is(err, unix.EOVERFLOW) {
			break
		}
	}
	return err
}

// from runs fn in a thread whose root and working directory are those of v in
// the root of a mount namespace, as the first of some users. fn makes system calls
// only.
func (r *Restart) from(root int, v view, users *format.Users, fn func() error) error {
	return elsewhere.Run(func() error {
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			return fmt.Errorf("have a root directory of its own for a thread: %w", err)
		}
		if err := unix.Fchdir(root); err != nil {
			return fmt.Errorf("enter the container's root: %w", err)
		}
		if err := unix.Chroot("."); err != nil {
			return fmt.Errorf("enter the container's root (this needs CAP_SYS_CHROOT): %w", err)
		}
		if v.root != "/" {
			if unix.Chroot(v.root) != nil {
				return errElsewhere
			}
		}
		if unix.Chdir(v.cwd) != nil {
			return errElsewhere
		}
		// The socket's file belongs to whoever binds it: see elsewhere.As.
		if uid, gid := users.First(); uid != 0 || gid != 0 {
			if err := sys.ThreadFileIdentity(uid, gid); err != nil {
				return fmt.Errorf("make files as user %d: %w", uid, err)
			}
		}
		return fn()
	})
}
