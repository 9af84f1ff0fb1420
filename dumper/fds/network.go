package fds

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// network is a network namespace that sockets of the container belong to, with
// what is asked in it once.
type network struct {
	id        uint32             // in the image; 0: that of the container's first process
	pid       int                // a task in it, host's
	diag      int                // netlink socket in it, -1 until needed
	fresh     map[[3]int]int     // see freshSocket
	limit     uint32             // see queueLimit
	multicast map[uint32][]group // by address family, see groupsOf
	orphans   map[ends]uint32    // bytes to come, see closing
	shut      map[uint32]uint8   // by inode, see inetShut
}

// network is that of a process.
func (w *walk) network(pid int, id uint32) (*network, error) {
	var st unix.Stat_t
	if err := unix.Stat(fmt.Sprintf("/proc/%d/ns/net", pid), &st); err != nil {
		return nil, err
	}
	n := w.networks[st.Ino]
	if n == nil {
		n = &network{id: id, pid: pid, diag: -1, fresh: map[[3]int]int{}, multicast: map[uint32][]group{}}
		w.networks[st.Ino] = n
	}
	return n, nil
}

func (n *network) close() {
	if n.diag >= 0 {
		unix.Close(n.diag)
	}
	for _, fd := range n.fresh {
		unix.Close(fd)
	}
}

// enterNetwork finds out which network namespace a socket belongs to, and refuses
// it if that is none of the container's.
func (w *walk) enterNetwork(f *file, fd int, kind string) error {
	ns, err := unix.IoctlRetInt(fd, unix.SIOCGSKNS)
	if err != nil {
		return fmt.Errorf("ask for its network namespace: %w", err)
	}
	defer unix.Close(ns)
	var st unix.Stat_t
	if err := unix.Fstat(ns, &st); err != nil {
		return err
	}
	w.net = w.networks[st.Ino]
	if pid := w.Networks[st.Ino]; w.net == nil && pid != 0 {
		if w.net, err = w.network(pid, w.Namespaces[st.Ino]); err != nil {
			return err
		}
	}
	if w.net != nil {
		f.OpenFile.Network, f.network = w.net.id, w.net
		return nil
	}
	w.net = w.own
	if _, known := w.Namespaces[st.Ino]; known {
		return f.refuse(kind+" socket", "it is of a network namespace that no process of the container is in", "close it, or end the process")
	}
	remedy := "start the container so that nothing outside is connected to it (lxc-start -d), or end the process"
	if kind == "UNIX" {
		remedy = asExternal(f, remedy)
	}
	return f.refuse(kind+" socket", "it was made outside the container's network namespace", remedy)
}
