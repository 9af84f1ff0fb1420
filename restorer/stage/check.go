package stage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/container"
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/refusal"
)

// CheckNative tells what would keep the native stage from making the first
// process. veth are interfaces that it is told where to hang; alive: it is told so only
// at the restart.
func CheckNative(cgroup string, n Need, veth map[string]string, alive bool) (list refusal.List) {
	if other := otherNamespaces(n.Skeleton); other != 0 {
		list = append(list, &refusal.Refusal{
			Object: "namespaces", Reason: fmt.Sprintf("the container has one of a kind that a native restart does not make (clone flag %#x)", other),
			Remedy: "have LXC make the container (lxc-restart without --native)",
		})
	}
	if r := foreignNamespaces(n.Skeleton); r != nil {
		list = append(list, r)
	}
	for _, l := range outerLinks(n.Skeleton) {
		if bridge, ok := veth[l]; ok || alive {
			if _, err := os.Stat("/sys/class/net/" + bridge); err != nil {
				list = append(list, &refusal.Refusal{Object: "network interface " + l, Reason: "this host has no interface " + bridge + " for it to hang on", Remedy: "make it (ip link add " + bridge + " type bridge), or name another one with --veth"})
			}
			continue
		}
		list = append(list, &refusal.Refusal{
			Object: "network interface " + l, Reason: "its other end was outside of the container, and nothing says where",
			Remedy: "name a bridge of this host for it to hang on (--veth " + l + "=BRIDGE), have LXC make the container (lxc-restart without --native), or, before a checkpoint, remove it (ip link delete " + l + ")",
		})
	}
	if !strings.HasPrefix(cgroup, "/") {
		s := &native{Need: n, cgroup: cgroup}
		if _, err := s.underHierarchies(); err != nil {
			list = append(list, &refusal.Refusal{Object: "cgroups", Reason: err.Error()})
		}
	} else if _, err := os.Stat(filepath.Dir(cgroup)); err != nil {
		list = append(list, &refusal.Refusal{Object: "cgroup " + cgroup, Reason: "what it is to lie in does not exist", Remedy: "make it (mkdir -p " + filepath.Dir(cgroup) + "), or name another one with --cgroup"})
	}
	return list
}

// otherNamespaces are those that a native restart does not make, as CLONE_NEW*.
func otherNamespaces(s *format.Skeleton) uint64 {
	return s.Container.CloneFlags &^ unix.CLONE_NEWTIME &^ namespaceFlags
}

// foreignNamespaces refuses a container whose first process is in a user namespace
// of its own and in other namespaces that do not belong to that: they are made by
// a process that is in it already.
func foreignNamespaces(s *format.Skeleton) *refusal.Refusal {
	users := firstUsers(s)
	if users == nil {
		return nil
	}
	refuse := func(reason string) *refusal.Refusal {
		return &refusal.Refusal{Object: "namespaces", Reason: reason, Remedy: "have LXC make the container (lxc-restart without --native)"}
	}
	if s.Container.CloneFlags&unix.CLONE_NEWPID == 0 {
		return refuse("the container has users of its own (a user namespace) and the host's numbers of processes, and nobody there may choose these")
	}
	for _, id := range s.Process(s.Container.RootPid).GetNamespaces() {
		if n := s.Namespace(id); n.GetOwn() && n != users && n.Owner != users.Id {
			return refuse(fmt.Sprintf("a namespace of the container (%v) does not belong to its user namespace, and a native restart makes only such", n.Kind))
		}
	}
	return nil
}

// CheckLXC tells what would keep LXC from making the first process. alive: the
// container runs, and will have been stopped.
func CheckLXC(ctx context.Context, name, lxcpath string, o container.Overrides, n Need, alive, asCopy bool) refusal.List {
	c := &lxcCheck{name: name, skeleton: n.Skeleton, alive: alive, asCopy: asCopy}
	if _, err := exec.LookPath("lxc-start"); errors.Is(err, exec.ErrNotFound) {
		c.refuse("LXC", "lxc-start is not installed", "install LXC, or restart without it (--native)")
	}
	config, err := container.ReadConfig(name, lxcpath, o)
	if missing := (*container.NotFoundError)(nil); errors.As(err, &missing) {
		c.refuse("container "+name, "there is none of that name "+missing.Where+" when it does not run: a restart needs its config and root file system on this host",
			"put them there, or name another directory with -P, or restart without LXC (--native)")
		return c.list
	} else if err != nil {
		c.refuse("container "+name, err.Error(), "mend its config")
		return c.list
	}
	c.config = config
	if !alive {
		if state, _, err := container.Query(ctx, name, lxcpath); err != nil && !(o.File != "" && container.IsNotFound(err)) {
			c.refuse("container "+name, err.Error(), "")
		} else if state != container.Stopped {
			c.refuse("container "+name, "it is "+strings.ToLower(state.String()), "stop it first (lxc-stop -n "+name+")")
		}
	} else if container.RunningItem(ctx, name, lxcpath, "lxc.ephemeral") == "1" {
		c.refuse("container "+name, "LXC destroys it when it stops (lxc.ephemeral), and with it the root file system that a restart needs",
			"checkpoint it without -k; or with -p, and copy its directory; or take lxc.ephemeral out of its config and start it again")
	}
	if r := checkIDMaps(n.Skeleton, config); r != nil {
		c.list = append(c.list, r)
	} else if uids, gids, err := config.IDMaps(); err == nil && !alive {
		c.list = append(c.list, checkSubordinate(uids, gids)...)
	}
	c.checkRoot()
	c.checkSources()
	c.checkNetworks()
	return c.list
}

// lxcCheck compares a config with the host.
type lxcCheck struct {
	name     string
	skeleton *format.Skeleton
	config   *container.Config
	alive    bool
	asCopy   bool
	list     refusal.List
}

func (c *lxcCheck) refuse(object, reason, remedy string) {
	c.list = append(c.list, &refusal.Refusal{Object: object, Reason: reason, Remedy: remedy})
}

func (c *lxcCheck) checkRoot() {
	dir := c.config.RootDirectory()
	if dir == "" {
		return
	}
	if s, err := os.Stat(dir); err != nil || !s.IsDir() {
		c.refuse("root file system", dir+" (lxc.rootfs.path) does not exist", "put it there: copy it from where the container ran, or correct lxc.rootfs.path in its config")
	}
}

// checkSources looks for the host's files that the config names.
func (c *lxcCheck) checkSources() {
	for _, b := range c.config.Binds() {
		if _, err := os.Stat(b.Source); err != nil && !b.Optional {
			c.refuse("mount "+b.Target, b.Source+", which LXC is to bind there (lxc.mount.entry), does not exist", "make it, or add the option \"optional\" to that line of the config")
		}
	}
	for _, key := range []string{"lxc.seccomp.profile", "lxc.mount.fstab"} {
		if path := c.config.Get(key); strings.HasPrefix(path, "/") {
			if _, err := os.Stat(path); err != nil {
				c.refuse(key, path+" does not exist", "put it there, or correct the config")
			}
		}
	}
}

// checkNetworks compares the interfaces that LXC will make with the host, and with
// those that the container had.
func (c *lxcCheck) checkNetworks() {
	names := map[string]bool{"lo": true}
	host := func(name string) bool {
		_, err := os.Stat("/sys/class/net/" + name)
		return err == nil
	}
	unnamed := 0
	for _, n := range c.config.Networks() {
		name := n.Name
		switch {
		case n.Type == "none":
			return // it has the host's
		case n.Type == "empty" || n.Type == "":
			continue
		case name == "" && n.Type == "phys":
			name = n.Link
		case name == "":
			name = "eth" + strconv.Itoa(unnamed) // the kernel takes the next one that is free
			unnamed++
		}
		names[name] = true
		if n.Link != "" && !host(n.Link) && !(c.alive && n.Type == "phys") {
			c.refuse("network interface "+name, fmt.Sprintf("this host has no interface %s (%s.link)", n.Link, n.Item), fmt.Sprintf("make it (ip link add %s type bridge, for a bridge), or name another one in the config", n.Link))
		}
		if n.Pair != "" && host(n.Pair) && !c.alive {
			c.refuse("network interface "+name, fmt.Sprintf("the name %s, which it is to have on the host (%s.veth.pair), is taken", n.Pair, n.Item), fmt.Sprintf("remove that one (ip link delete %s), or choose another name in the config", n.Pair))
		}
	}
	if c.config.HasHooks() || c.asCopy {
		return // they may make others
	}
	for _, l := range outerLinks(c.skeleton) {
		if !names[l] {
			c.refuse("network interface "+l, "the container had it, and its config makes none of that name", "give it back in the config (lxc.net), or, before a checkpoint, remove it (ip link delete "+l+")")
		}
	}
}

// outerLinks are the interfaces of the container's own network that a restart does
// not make: their other end was outside.
func outerLinks(s *format.Skeleton) (names []string) {
	for _, n := range s.Namespaces {
		if n.Kind != format.NamespaceKind_NET || !n.Own {
			continue
		}
		for _, l := range n.Links {
			if l.Outside {
				names = append(names, l.Name)
			}
		}
		break // the first is that of the container's first process
	}
	return names
}
