package namespaces

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/dumper/view"
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/elsewhere"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/refusal"
)

// A namespace that is mounted (ip netns add) lives on without a process in it.

// mounted finds such namespaces, as far as they can be looked at without a process.
func (r *Result) mounted(ids *view.IDs, theirs, ours map[string]uint64) error {
	host, err := procfs.ReadMounts(os.Getpid())
	if err != nil {
		return err
	}
	for i := 0; i < len(r.order); i++ {
		n := r.order[i]
		if n.Kind != format.NamespaceKind_MNT || !n.Own {
			continue
		}
		all, err := view.ReadMounts(n.path())
		if err != nil {
			return err
		}
		for _, m := range all {
			kind, inode, ok := procfs.ParseNamespace(m.Root)
			if m.FSType != "nsfs" || !ok || slices.ContainsFunc(host, func(h *procfs.Mount) bool { return h.FSType == "nsfs" && h.Root == m.Root }) {
				continue
			}
			switch k := kindNamed(kind); k {
			case format.NamespaceKind_NET, format.NamespaceKind_UTS, format.NamespaceKind_IPC, format.NamespaceKind_USER:
				if r.objects[key{k, inode}] != nil {
					continue
				}
				fd, err := openMounted(n, m, inode)
				if err != nil {
					return fmt.Errorf("open the namespace mounted on %s: %w", m.Mountpoint, err)
				}
				if fd < 0 {
					continue
				}
				o := &object{
					Namespace: &format.Namespace{Id: ids.Next(), Kind: k, Inode: inode, Own: inode != ours[kind]},
					name:      kind, fd: fd, nested: inode != theirs[kind], who: n.who,
				}
				r.objects[key{k, inode}] = o
				r.order = append(r.order, o)
			}
		}
	}
	return nil
}

func kindNamed(name string) format.NamespaceKind {
	for _, k := range kinds {
		if k.name == name {
			return k.kind
		}
	}
	return 0
}

// openMounted opens one; -1: another mount covers it.
func openMounted(n *object, m *procfs.Mount, inode uint64) (int, error) {
	fd := -1
	err := elsewhere.AtRoot(n.path(), func(int) error {
		at, err := unix.Open(m.Mountpoint, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil
		}
		var st unix.Stat_t
		if err := unix.Fstat(at, &st); err != nil || st.Ino != inode {
			unix.Close(at)
			return err
		}
		fd = at
		return nil
	})
	return fd, err
}

// showNamespaces notes which namespaces mounts show. Of those of mounts, the kernel
// lets only later ones be mounted, so that none is mounted in itself (mnt_ns_loop,
// fs/namespace.c); and of two, Linux 6.18 finds either the later one, since it numbers
// them on each CPU (ELOOP, one time in five). One of cgroups may have to be made by a
// process that comes later.
func (r *Result) showNamespaces() {
	for _, n := range r.order {
		for _, m := range n.Mounts {
			kind, inode, ok := procfs.ParseNamespace(m.Root)
			if m.Fstype != "nsfs" || !ok || kind == "cgroup" || kind == "mnt" {
				continue
			}
			if o := r.objects[key{kindNamed(kind), inode}]; o != nil {
				m.Namespace = o.Id
			}
		}
	}
}

// unused looks at an IPC namespace that is mounted without a process in it, the
// thread's: what lives in one is told by its processes.
func (r *Result) unused(n *object) error {
	lives := false
	for _, file := range []string{"shm", "sem", "msg"} {
		text, err := os.ReadFile("/proc/sysvipc/" + file)
		if err != nil && !errors.Is(err, os.ErrNotExist) { // a kernel without CONFIG_SYSVIPC
			return err
		}
		lives = lives || strings.Count(string(text), "\n") > 1 // after the headings
	}
	root, queues, err := messageQueues()
	if root != nil {
		root.Close()
	}
	if err != nil {
		return err
	}
	if lives || len(queues) > 0 {
		r.refused = append(r.refused, &refusal.Refusal{
			Object: fmt.Sprintf("the namespace ipc:[%d]", n.Inode), Kind: "System V IPC or POSIX message queues",
			Reason: "no process is in the namespace, which is mounted, so that they can't be saved by this version",
			Remedy: "keep a process in it, or remove them there (nsenter --ipc=FILE ipcrm -a)",
		})
	}
	return settings(n.Ipc)
}
