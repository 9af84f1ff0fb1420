package restorer

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/refusal"
)

// CheckFree tells which numbers, addresses and names that a container needs
// outside of namespaces of its own others have on this host.
func CheckFree(s *format.Skeleton) refusal.List {
	c := &checker{s: s}
	c.checkProcesses()
	c.checkAddresses()
	c.checkSegments()
	return c.list
}

// checkProcesses looks whether numbers of tasks are free. In a pid namespace of
// the container's own all are.
func (c *checker) checkProcesses() {
	if c.has(unix.CLONE_NEWPID) {
		return
	}
	for _, p := range c.s.Processes {
		for _, k := range p.Tasks {
			comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", k.Tid))
			if err != nil {
				continue
			}
			c.refuse(fmt.Sprintf("process number %d (of %s)", k.Tid, k.Name),
				fmt.Sprintf("a process of this host has it now, %s, and the container has no pid namespace of its own", strings.TrimSpace(string(comm))),
				fmt.Sprintf("end that one (kill %d), or wait until it has ended", k.Tid))
		}
	}
}

// checkAddresses looks whether the addresses of sockets are there and free. A
// network namespace of the container's own has only what its config gives it, and
// nobody else in it.
func (c *checker) checkAddresses() {
	if c.has(unix.CLONE_NEWNET) {
		return
	}
	names := abstractNames()
	listening := listeners()
	for _, o := range c.s.OpenFiles {
		var bound *format.InetAddress
		family, protocol := uint32(unix.AF_INET), "tcp"
		switch {
		case o.GetTcpListener() != nil:
			l := o.GetTcpListener()
			family, bound = l.Family, &format.InetAddress{Address: l.Address, Port: l.Port}
		case o.GetTcpConnection() != nil:
			// It shares its port with the listener that it came from; the address has
			// to be there.
			t := o.GetTcpConnection()
			if family, bound = t.Family, t.Address; bound != nil {
				bound = &format.InetAddress{Address: bound.Address}
			}
		case o.GetInetSocket().GetType() == unix.SOCK_DGRAM:
			u := o.GetInetSocket()
			family, bound, protocol = u.Family, u.Address, "udp"
		case o.GetUnixSocket() != nil:
			if a := o.GetUnixSocket().Address; len(a) > 1 && a[0] == 0 && !o.GetUnixSocket().Accepted && names[string(a[1:])] {
				c.refuseOpen(o.Id, fmt.Sprintf("the name @%s of a UNIX socket is taken by another one of this host", a[1:]), "end the program that has it (ss -xlp shows which)")
			}
		}
		if bound == nil {
			continue
		}
		if !hasAddress(family, bound.Address) {
			c.refuseOpen(o.Id, fmt.Sprintf("its socket is bound to %s, which is no address of this host", address(bound.Address)), fmt.Sprintf("add it (ip address add %s dev INTERFACE), or restart with the host's namespace that has it", address(bound.Address)))
			continue
		}
		if who, taken := listening[key{protocol, bound.Port}]; taken && (everywhere(who) || everywhere(bound.Address) || string(who) == string(bound.Address)) {
			c.refuseOpen(o.Id, fmt.Sprintf("%s port %d is taken by another program of this host", strings.ToUpper(protocol), bound.Port),
				fmt.Sprintf("end that one (ss -lntup sport = :%d shows which)", bound.Port))
		}
	}
}

// refuseOpen refuses an open file.
func (c *checker) refuseOpen(id uint32, reason, remedy string) {
	number, table := c.descriptor(id)
	c.refuse(number, reason, remedy)
	c.of(c.list[len(c.list)-1], table)
}

// checkSegments looks whether numbers of System V shared memory are free.
func (c *checker) checkSegments() {
	if c.has(unix.CLONE_NEWIPC) {
		return
	}
	taken := map[uint32]bool{}
	eachLine("/proc/sysvipc/shm", func(f []string) {
		if id, err := strconv.ParseUint(f[1], 10, 32); err == nil {
			taken[uint32(id)] = true
		}
	})
	for _, m := range c.s.SharedMemories {
		if p := m.GetSysv().GetPermissions(); p != nil && m.GetSysv().Namespace == 0 && taken[p.Id] {
			c.refuse(fmt.Sprintf("System V shared memory %d", p.Id), "this host has one of that number, and the container has no IPC namespace of its own",
				fmt.Sprintf("remove it, if nobody needs it (ipcrm -m %d)", p.Id))
		}
	}
}

// key is a port of a protocol.
type key struct {
	protocol string
	port     uint32
}

// listeners are the sockets of this host that others can't share a port with: TCP
// that listens, UDP that is bound. The value is the address.
func listeners() map[key][]byte {
	const listen = "0A" // TCP_LISTEN, include/net/tcp_states.h
	all := map[key][]byte{}
	for _, protocol := range []string{"tcp", "tcp6", "udp", "udp6"} {
		eachLine("/proc/net/"+protocol, func(f []string) {
			if len(f) < 4 || strings.HasPrefix(protocol, "tcp") && f[3] != listen {
				return
			}
			host, port, _ := strings.Cut(f[1], ":")
			n, err := strconv.ParseUint(port, 16, 16)
			raw, bad := hex.DecodeString(host)
			if err != nil || bad != nil || n == 0 {
				return
			}
			for i := 0; i+4 <= len(raw); i += 4 { // each word in the host's order: little endian
				raw[i], raw[i+1], raw[i+2], raw[i+3] = raw[i+3], raw[i+2], raw[i+1], raw[i]
			}
			k := key{protocol[:3], uint32(n)}
			if have, ok := all[k]; !ok || !everywhere(have) {
				all[k] = raw
			}
		})
	}
	return all
}

// abstractNames are those of this host's UNIX sockets.
func abstractNames() map[string]bool {
	all := map[string]bool{}
	eachLine("/proc/net/unix", func(f []string) {
		if len(f) >= 8 {
			if name, ok := strings.CutPrefix(f[7], "@"); ok {
				all[name] = true
			}
		}
	})
	return all
}

// eachLine calls do with the words of each line of a file but the first.
func eachLine(path string, do func([]string)) {
	f, err := os.Open(path)
	if err != nil {
		return // a kernel without the protocol
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for n := 0; lines.Scan(); n++ {
		if words := strings.Fields(lines.Text()); n > 0 && len(words) >= 2 {
			do(words)
		}
	}
}

// everywhere tells whether an address stands for all of the host.
func everywhere(address []byte) bool {
	for _, b := range address {
		if b != 0 {
			return false
		}
	}
	return true
}

// hasAddress tells whether this host has an address: whether a socket could be
// bound to it.
func hasAddress(family uint32, address []byte) bool {
	var to unix.Sockaddr
	switch {
	case everywhere(address):
		return true
	case family == unix.AF_INET && len(address) == 4:
		to = &unix.SockaddrInet4{Addr: [4]byte(address)}
	case len(address) == 16:
		family, to = unix.AF_INET6, &unix.SockaddrInet6{Addr: [16]byte(address)}
	default:
		return true
	}
	fd, err := unix.Socket(int(family), unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return true // the restart itself will say more
	}
	defer unix.Close(fd)
	return !errors.Is(unix.Bind(fd, to), unix.EADDRNOTAVAIL)
}

func address(a []byte) string {
	if len(a) == 4 {
		return fmt.Sprintf("%d.%d.%d.%d", a[0], a[1], a[2], a[3])
	}
	groups := make([]string, 0, 8)
	for i := 0; i+1 < len(a); i += 2 {
		groups = append(groups, fmt.Sprintf("%x", int(a[i])<<8|int(a[i+1])))
	}
	return strings.Join(groups, ":")
}
