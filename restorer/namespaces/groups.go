package namespaces

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
)

// group is a peer group: mounts that hand each other what is mounted on them.
// It is made with a leader in the workshop, which shows enough of the file
// system for every member, and leaves it when the workshop goes.
type group struct {
	number, master int
	fileSystem     uint32
	root           string // the shortest of its members
	idMap          string // of one of them
	leader         int
	begun          bool
}

// propagation reads the optional fields of mountinfo.
func propagation(fields string) (shared, master int, unbindable bool) {
	for f := range strings.FieldsSeq(fields) {
		key, value, _ := strings.Cut(f, ":")
		n, _ := strconv.Atoi(value)
		switch key {
		case "shared":
			shared = n
		case "master":
			master = n
		case "unbindable":
			unbindable = true
		}
	}
	return shared, master, unbindable
}

// joinGroups gives every mount the peers, the master and the slaves that it had.
// A master outside of the container (the host's) is left as LXC has made it.
func (m *mounter) joinGroups() error {
	groups := map[int]*group{}
	m.eachMount(func(_ *space, mount *format.Mount, _ int) error {
		shared, master, _ := propagation(mount.Propagation)
		g := groups[shared]
		if shared != 0 && g == nil {
			g = &group{number: shared, master: master, fileSystem: mount.FileSystem, root: mount.Root, idMap: mount.IDMap(), leader: -1}
			groups[shared] = g
		}
		if g != nil && len(mount.Root) < len(g.root) {
			g.root = mount.Root
		}
		return nil
	})
	for _, g := range groups {
		if err := m.begin(g, groups); err != nil {
			return err
		}
	}
	return m.eachMount(func(s *space, mount *format.Mount, fd int) error {
		if err := m.enter(s.ns); err != nil {
			return err
		}
		if err := join(mount, fd, groups); err != nil {
			return fmt.Errorf("propagation (%s) of mount %s: %w", mount.Propagation, mount.Mountpoint, err)
		}
		return nil
	})
}

// eachMount goes through the mounts whose propagation is the image's to say.
func (m *mounter) eachMount(do func(*space, *format.Mount, int) error) error {
	for i, s := range m.spaces {
		for _, mount := range s.Mounts {
			fd, ok := s.mounts[mount.MountId]
			if !ok || fd < 0 || i == 0 && m.sameHost && m.match.now[mount.MountId] != nil {
				continue
			}
			if err := do(s, mount, fd); err != nil {
				return err
			}
		}
	}
	return nil
}

// begin makes a group, its master first.
func (m *mounter) begin(g *group, groups map[int]*group) error {
	if g.begun {
		return nil
	}
	g.begun = true
	from := cmp.Or(m.source(g.fileSystem, g.root, ""), m.source(g.fileSystem, g.root, g.idMap))
	if from == nil {
		m.log.Warn("mounts that shared what is mounted on them no longer do: their file system shows too little of itself", "root", g.root)
		return nil
	}
	if err := m.enter(m.workshop); err != nil {
		return err
	}
	fd, err := m.keeping(clone(from.fd, "/"))
	if err == nil {
		err = m.onBench(fd)
	}
	if err != nil {
		return err
	}
	if master := groups[g.master]; g.master != 0 && master != nil && master != g {
		if err := m.begin(master, groups); err != nil {
			return err
		}
		if err := m.enter(m.workshop); err != nil {
			return err
		}
		if master.leader >= 0 {
			if err := follow(master.leader, fd); err != nil {
				return fmt.Errorf("make a slave of a group of mounts: %w", err)
			}
		}
	}
	if err := propagate(fd, unix.MS_SHARED); err != nil {
		return err
	}
	g.leader = fd
	return nil
}

// follow makes a mount a slave of a group.
func follow(leader, fd int) error {
	if err := setGroup(leader, fd); err != nil {
		return err
	}
	return propagate(fd, unix.MS_SLAVE)
}

// setGroup makes a mount a member of another one's group (Linux 5.15). Both must
// show the same file system, and the other one at least as much of it.
func setGroup(from, to int) error {
	const flags = unix.MOVE_MOUNT_SET_GROUP | unix.MOVE_MOUNT_F_EMPTY_PATH | unix.MOVE_MOUNT_T_EMPTY_PATH
	return wrap("move_mount, MOVE_MOUNT_SET_GROUP", unix.MoveMount(from, "", to, "", flags))
}

func propagate(fd int, how uint64) error {
	return wrap("mount_setattr", unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &unix.MountAttr{Propagation: how}))
}

func join(mount *format.Mount, fd int, groups map[int]*group) error {
	shared, master, unbindable := propagation(mount.Propagation)
	g, of := groups[shared], groups[master]
	switch {
	case unbindable:
		return propagate(fd, unix.MS_UNBINDABLE)
	case shared != 0 && g != nil && g.leader >= 0:
		if master != 0 && of == nil {
			// Its master is outside; LXC has made it that one's slave.
			return propagate(fd, unix.MS_SHARED)
		}
		if err := propagate(fd, unix.MS_PRIVATE); err != nil {
			return err
		}
		return setGroup(g.leader, fd)
	case master != 0 && of != nil && of.leader >= 0:
		if err := propagate(fd, unix.MS_PRIVATE); err != nil {
			return err
		}
		return follow(of.leader, fd)
	}
	return nil
}
