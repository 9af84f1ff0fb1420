package namespaces

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/netlink"
	"lxc-checkpoint/internal/rtnl"
	"lxc-checkpoint/internal/sys"
)

// groups has interfaces listen to the groups that they were told to listen to.
func (s *netspace) groups() error {
	return s.inside(func() error {
		fd := -1
		defer func() { unix.Close(fd) }()
		for _, l := range s.Links {
			for _, address := range l.Multicast {
				if fd < 0 {
					var err error
					if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
						return err
					}
				}
				if err := sys.AddMulticast(fd, l.Name, address); err != nil && !errors.Is(err, unix.EEXIST) {
					return fmt.Errorf("network interface %s: listen to group % x: %w", l.Name, address, err)
				}
			}
		}
		return nil
	})
}

// tokens sets the lower halves of the IPv6 addresses that routers give interfaces. The
// kernel takes none where no router is heard; then it has no effect either.
func (m *networks) tokens(s *netspace) error {
	const inet6Token = 7 // IFLA_INET6_TOKEN
	for _, l := range s.Links {
		now := s.now[l.Name]
		if len(l.Token) == 0 || now == nil || string(now.Token) == string(l.Token) {
			continue
		}
		body := rtnl.Body(l.Index, 0, 0, netlink.Append(nil, netlink.Nest(unix.IFLA_AF_SPEC, netlink.Nest(unix.AF_INET6, netlink.Bytes(inet6Token, l.Token)))))
		if err := s.conn.Do(unix.RTM_SETLINK, 0, body); err != nil {
			m.log.Warn("the token of a network interface (ip token) could not be set", "interface", l.Name, "why", err)
		}
	}
	return nil
}
