package programs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"
	"lxc-checkpoint/refusal"
)

// points are where programs can be attached to a cgroup (enum bpf_attach_type,
// include/uapi/linux/bpf.h).
var points = []struct {
	point uint32
	name  string
}{
	{unix.BPF_CGROUP_INET_INGRESS, "ingress"}, {unix.BPF_CGROUP_INET_EGRESS, "egress"},
	{unix.BPF_CGROUP_INET_SOCK_CREATE, "sock_create"}, {unix.BPF_CGROUP_INET_SOCK_RELEASE, "sock_release"},
	{unix.BPF_CGROUP_SOCK_OPS, "sock_ops"}, {unix.BPF_CGROUP_DEVICE, "device"}, {unix.BPF_CGROUP_SYSCTL, "sysctl"},
	{unix.BPF_CGROUP_INET4_BIND, "bind4"}, {unix.BPF_CGROUP_INET6_BIND, "bind6"},
	{unix.BPF_CGROUP_INET4_POST_BIND, "post_bind4"}, {unix.BPF_CGROUP_INET6_POST_BIND, "post_bind6"},
	{unix.BPF_CGROUP_INET4_CONNECT, "connect4"}, {unix.BPF_CGROUP_INET6_CONNECT, "connect6"},
	{unix.BPF_CGROUP_UDP4_SENDMSG, "sendmsg4"}, {unix.BPF_CGROUP_UDP6_SENDMSG, "sendmsg6"},
	{unix.BPF_CGROUP_UDP4_RECVMSG, "recvmsg4"}, {unix.BPF_CGROUP_UDP6_RECVMSG, "recvmsg6"},
	{unix.BPF_CGROUP_INET4_GETPEERNAME, "getpeername4"}, {unix.BPF_CGROUP_INET6_GETPEERNAME, "getpeername6"},
	{unix.BPF_CGROUP_INET4_GETSOCKNAME, "getsockname4"}, {unix.BPF_CGROUP_INET6_GETSOCKNAME, "getsockname6"},
	{unix.BPF_CGROUP_GETSOCKOPT, "getsockopt"}, {unix.BPF_CGROUP_SETSOCKOPT, "setsockopt"},
	{unix.BPF_LSM_CGROUP, "lsm_cgroup"},
	// Linux 6.7.
	{51, "connect_unix"}, {52, "sendmsg_unix"}, {53, "recvmsg_unix"}, {54, "getpeername_unix"}, {55, "getsockname_unix"},
}

// Cgroups looks at what is attached to a container's cgroups of the v2
// hierarchy, own being the directory of its own one. It comes before the
// programs that processes hold: only where one is attached tells for which point
// it was loaded. Without cgroups of its own nothing is looked at.
func (l *Looker) Cgroups(own string) (refusal.List, error) {
	var refused refusal.List
	known := points
	var links map[place]bool // nil: not gathered yet
	err := filepath.WalkDir(own, func(dir string, d fs.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil || !d.IsDir() {
			return err
		}
		fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open cgroup %s: %w", dir, err)
		}
		defer unix.Close(fd)
		path := filepath.Join("/", dir[len(own):])
		rest := known[:0:0]
		for _, p := range known {
			var ids [format.MaxAttached]uint32
			n, flags, err := sys.BPFQuery(fd, p.point, ids[:])
			if err != nil {
				continue // this kernel has no such point
			}
			rest = append(rest, p)
			if n == 0 {
				continue
			}
			if links == nil {
				links = cgroupLinks()
			}
			refused = append(refused, l.attachment(path, fd, p.point, p.name, flags, ids[:n], links)...)
		}
		known = rest
		return nil
	})
	return refused, err
}

// attachment looks at one point of one cgroup.
func (l *Looker) attachment(path string, cgroup int, point uint32, name string, flags uint32, ids []uint32, links map[place]bool) (refused refusal.List) {
	const remedy = "end the service that the cgroup is of, or have it made without what attaches the program (systemd: IPAddressAllow=, IPAddressDeny=, IPAccounting=, DevicePolicy=, SocketBindAllow=, RestrictNetworkInterfaces= and the like)"
	refuse := func(kind, reason, remedy string) {
		refused = append(refused, &refusal.Refusal{Object: fmt.Sprintf("cgroup %s, attached at %s", path, name), Kind: kind, Reason: reason, Remedy: remedy})
	}
	var st unix.Stat_t
	if err := unix.Fstat(cgroup, &st); err == nil && links[place{st.Ino, point}] {
		refuse("BPF link", "this version does not make links again, only attachments", remedy)
		return refused
	}
	a := &format.BpfAttachment{Cgroup: path, Type: point, Flags: flags}
	for _, id := range ids {
		l.attached[id] = point
		m, err := l.byID(id)
		var r *refusal.Refusal
		switch {
		case errors.As(err, &r) && path == "/" && point == unix.BPF_CGROUP_DEVICE:
			// LXC's own: it makes it again from lxc.cgroup2.devices.* before a
			// restart looks at what is attached already.
			continue
		case errors.As(err, &r):
			refuse(r.Kind, r.Reason, r.Remedy)
			continue
		case err != nil:
			refuse("BPF program", err.Error(), remedy)
			continue
		}
		a.Programs = append(a.Programs, m.Id)
	}
	if len(a.Programs) > 0 {
		l.Attachments = append(l.Attachments, a)
	}
	return refused
}

func (l *Looker) byID(id uint32) (*format.BpfProgram, error) {
	fd, err := sys.BPFPrograms.Open(id, 0)
	if err != nil {
		return nil, fmt.Errorf("open BPF program %d: %w", id, err)
	}
	defer unix.Close(fd)
	return l.Program(fd)
}

// place is a point of a cgroup, which is known by its inode.
type place struct {
	cgroup uint64
	point  uint32
}

// cgroupLinks are the places that links are attached to (Linux 5.8): the query
// of a cgroup does not tell links from attachments.
func cgroupLinks() map[place]bool {
	const cgroupLink = 3 // BPF_LINK_TYPE_CGROUP
	found := map[place]bool{}
	for id, err := sys.BPFLinks.Next(0); err == nil; id, err = sys.BPFLinks.Next(id) {
		fd, err := sys.BPFLinks.Open(id, 0)
		if err != nil {
			continue // it is gone
		}
		var info sys.BPFLinkInfo
		if sys.BPFInfo(fd, &info) == nil && info.Type == cgroupLink {
			found[place{info.Cgroup, info.AttachType}] = true
		}
		unix.Close(fd)
	}
	return found
}
