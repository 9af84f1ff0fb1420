package restorer

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/container"
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/refusal"
	"lxc-checkpoint/restorer/fds"
	"lxc-checkpoint/restorer/memory"
	"lxc-checkpoint/restorer/namespaces"
)

// found is where a file of the container lies while the container does not run.
type found struct {
	dir  string // of the host, which the file's path counts from
	path string
}

// checkFiles looks for every file and directory that the image names: whether
// it is there, and what it was. What lies in a file system that the statefile
// holds, or that only the kernel or LXC makes, is not looked for.
func (c *checker) checkFiles() {
	look, err := c.newLooker()
	if err != nil {
		c.add("root file system", err)
		return
	}
	defer look.close()
	for f := range memory.Files(c.s) {
		flags := unix.O_RDONLY
		if f.Write {
			flags = unix.O_RDWR
		}
		if r := look.verify(f.ID, flags, !f.Write); r != nil {
			c.list = append(c.list, c.who(r, f.Mm.Id))
		}
	}
	for _, o := range c.s.OpenFiles {
		id := fds.FileOf(o)
		if id == nil {
			continue
		}
		if r := look.verify(id, int(o.Flags), false); r != nil {
			number, table := c.descriptor(o.Id)
			r.Object = number + ", " + r.Object
			c.list = append(c.list, c.of(r, table))
		}
	}
	for _, o := range c.s.OpenFiles {
		if u := o.GetUnixSocket(); u.GetPath() != "" && !u.Accepted {
			if r := look.socket(u.MountNamespace, u.Path); r != nil {
				number, table := c.descriptor(o.Id)
				r.Object = number + ", " + r.Object
				c.list = append(c.list, c.of(r, table))
			}
		}
	}
	for _, o := range c.s.OpenFiles {
		// Who names it at the checkpoint will say at the restart what it is.
		if e := o.GetExternal(); e != nil && !c.o.Alive {
			if _, err := fds.ExternalOf(c.o.External, e); err != nil {
				number, table := c.descriptor(o.Id)
				r := refused(e.Name, err)
				r.Object = number + ", " + r.Object
				c.list = append(c.list, c.of(r, table))
			}
		}
	}
	for _, m := range look.mounts[0] {
		if m.External && !c.o.Alive {
			if _, err := namespaces.ExternalMount(c.o.External, m); err != nil {
				c.list = append(c.list, refused("mount "+m.Mountpoint, err))
			}
		}
	}
	for _, d := range c.s.Fs {
		if r := look.directory(d.MountNamespace, d.Root, d.RootMemory != 0); r != nil {
			c.list = append(c.list, r)
		}
		if r := look.directory(d.MountNamespace, d.Cwd, d.CwdMemory != 0); r != nil {
			c.list = append(c.list, r)
		}
	}
}

// looker finds files of the container on the host.
type looker struct {
	*checker
	root   string // of the host, where the root file system lies; empty: not to be seen
	mounts map[uint32][]*format.Mount
	host   []*procfs.Mount // natively: what can be bound
	dirs   map[string]int  // opened
	seen   map[string]bool
}

func (c *checker) newLooker() (*looker, error) {
	l := &looker{checker: c, mounts: map[uint32][]*format.Mount{}, dirs: map[string]int{}, seen: map[string]bool{}}
	for _, n := range c.s.Namespaces {
		if n.Kind != format.NamespaceKind_MNT || len(n.Mounts) == 0 {
			continue
		}
		if l.mounts[0] == nil {
			l.mounts[0] = n.Mounts
		}
		l.mounts[n.Id] = n.Mounts
	}
	switch {
	case !c.o.Native && c.s.Container.Rootfs != "":
		config, err := container.ReadConfig(c.o.Name, c.o.LXCPath, c.o.Config)
		if err != nil {
			return l, nil // the stage says so
		}
		if l.root = config.RootDirectory(); l.root == "" {
			c.log.Warn("its files were not looked at: LXC mounts the root file system only for the time that it runs", "lxc.rootfs.path", config.Get("lxc.rootfs.path"))
		}
		return l, nil
	case !c.has(unix.CLONE_NEWNS):
		l.root = "/"
		return l, nil
	}
	var err error
	if l.host, err = procfs.ReadMounts(os.Getpid()); err != nil {
		return l, err
	}
	if root := l.mounts[0]; len(root) > 0 {
		f := c.s.FileSystem(root[0].FileSystem)
		if l.root = l.onHost(f, root[0].Root); l.root == "" && f != nil && f.Outside {
			return l, &refusal.Refusal{
				Object: "root file system",
				Reason: fmt.Sprintf("it was %s of the %s file system on device %d:%d, and this host has that mounted nowhere", root[0].Root, f.Fstype, f.Device>>32, uint32(f.Device)),
				Remedy: "mount it, or have LXC make the container (lxc-restart without --native)",
			}
		}
	}
	return l, nil
}

func (l *looker) close() {
	for _, fd := range l.dirs {
		unix.Close(fd)
	}
}

// onHost is where the host shows a path of a file system; empty: nowhere.
func (l *looker) onHost(f *format.FileSystem, root string) string {
	for _, h := range l.host {
		if f == nil || uint64(h.Major)<<32|uint64(h.Minor) != f.Device || h.FSType != f.Fstype {
			continue
		}
		if rest, ok := strings.CutPrefix(root+"/", strings.TrimSuffix(h.Root, "/")+"/"); ok {
			return filepath.Join(h.Mountpoint, rest)
		}
	}
	return ""
}

// find says where a file lies; ok is false if it is not to be looked for.
func (l *looker) find(namespace uint32, name string) (f found, ok bool) {
	if l.root == "/" && l.mounts[namespace] == nil {
		for _, kernels := range []string{"/proc/", "/sys/"} {
			if strings.HasPrefix(name, kernels) {
				return f, false
			}
		}
		return found{"/", name}, true
	}
	m := covering(l.mounts[namespace], name)
	first := l.mounts[0]
	if m == nil || len(first) == 0 {
		return f, false
	}
	rest := strings.TrimPrefix(name, strings.TrimSuffix(m.Mountpoint, "/"))
	fs := l.s.FileSystem(m.FileSystem)
	switch {
	case fs == nil || !fs.Outside && m.FileSystem != first[0].FileSystem:
		return f, false // the statefile has it, or the kernel makes it
	case m.FileSystem == first[0].FileSystem && l.root != "":
		below, ok := strings.CutPrefix(m.Root+"/", strings.TrimSuffix(first[0].Root, "/")+"/")
		return found{l.root, path.Join("/", below, rest)}, ok
	case l.host == nil:
		return f, false // LXC mounts it, as its config says
	case fs.Fstype == "cgroup" || fs.Fstype == "cgroup2":
		return f, false // a native restart makes them, in another place
	}
	dir := l.onHost(fs, m.Root)
	if rest == "" {
		return found{path.Dir(dir), "/" + path.Base(dir)}, dir != "" // it may be a file
	}
	return found{dir, path.Join("/", rest)}, dir != ""
}

// covering is the mount that a path is on: of those above it, the lowest, and of
// these the one that was mounted last.
func covering(mounts []*format.Mount, name string) *format.Mount {
	var best *format.Mount
	for _, m := range mounts {
		top := strings.TrimSuffix(m.Mountpoint, "/")
		if name != top && !strings.HasPrefix(name, top+"/") {
			continue
		}
		if best == nil || len(m.Mountpoint) >= len(best.Mountpoint) {
			best = m
		}
	}
	return best
}

// verify tells what is the matter with a file; nil: nothing, or it was told
// before.
func (l *looker) verify(id *format.FileIdentity, flags int, executed bool) *refusal.Refusal {
	key := fmt.Sprint(id.MountNamespace, id.Path, executed)
	if l.seen[key] {
		return nil
	}
	l.seen[key] = true
	at, ok := found{"/", id.Path}, id.Foreign
	if !ok {
		if at, ok = l.find(id.MountNamespace, id.Path); !ok {
			return nil
		}
	}
	finder, err := l.finder(at.dir)
	if err == nil {
		there := &format.FileIdentity{Path: at.path, Mode: id.Mode, Rdev: id.Rdev, Device: id.Device, Inode: id.Inode, Size: id.Size, MtimeNs: id.MtimeNs, Foreign: id.Foreign}
		err = finder.Verify(there, flags, executed)
	}
	return refused(id.Path, err)
}

// directory is verify for a root or working directory.
func (l *looker) directory(namespace uint32, name string, removed bool) *refusal.Refusal {
	if removed || name == "" || name == "/" {
		return nil
	}
	return l.verify(&format.FileIdentity{Path: name, Mode: unix.S_IFDIR, MountNamespace: namespace}, unix.O_RDONLY, false)
}

// socket tells what keeps a UNIX socket from being bound to its path.
func (l *looker) socket(namespace uint32, name string) *refusal.Refusal {
	name, err := l.followed(namespace, name)
	if err != nil {
		return refused(name, err)
	}
	if r := l.directory(namespace, path.Dir(name), false); r != nil {
		return r
	}
	at, ok := l.find(namespace, name)
	if !ok {
		return nil
	}
	finder, err := l.finder(at.dir)
	if err == nil {
		err = finder.VerifySpot(at.path)
	}
	return refused(name, err)
}

func (l *looker) finder(dir string) (*fds.Finder, error) {
	fd, ok := l.dirs[dir]
	if !ok {
		var err error
		if fd, err = unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
			return nil, &refusal.Refusal{Object: "root file system", Reason: fmt.Sprintf("%s: %v", dir, err), Remedy: "put it there: copy it from where the container ran"}
		}
		l.dirs[dir] = fd
	}
	f := fds.NewFinder(fd, l.log)
	f.AllowChanged = l.o.AllowChanged
	return &f, nil
}

// refused is an error as a refusal about an object; nil stays nil.
func refused(object string, err error) *refusal.Refusal {
	var one *refusal.Refusal
	switch {
	case err == nil:
		return nil
	case errors.As(err, &one):
		copied := *one
		if copied.Object == "" {
			copied.Object = object
		}
		return &copied
	}
	return &refusal.Refusal{Object: object, Reason: err.Error()}
}
