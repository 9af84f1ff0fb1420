package namespaces

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/rtnl"
)

// acceptDAD tells the settings by which the kernel looks for others that have an
// IPv6 address before it uses it. These were in use: nobody is to wait for them.
func acceptDAD(name string) bool {
	return strings.HasPrefix(name, "ipv6/conf/") && strings.HasSuffix(name, "/accept_dad")
}

// generation tells those by which it gives interfaces an IPv6 address by itself: at
// once when they are written, so they are not once the addresses are there.
func generation(name string) bool {
	return strings.HasPrefix(name, "ipv6/conf/") && strings.HasSuffix(name, "/addr_gen_mode")
}

// sysctls sets those that differ. Some change others when they are written
// (ip_forward all that say who may be a router's): so all are compared again.
func (m *networks) sysctls(s *netspace) error {
	final := s.raised
	return s.inside(func() error {
		for range 3 {
			now := map[string]string{}
			if err := rtnl.Sysctls(func(name, value string) { now[name] = value }); err != nil {
				return err
			}
			wrote := false
			for _, want := range s.Network.Sysctls {
				value, there := now[want.Name]
				to := want.Value
				if acceptDAD(want.Name) && !final {
					to = "0"
				}
				if there && value == to || generation(want.Name) && final {
					continue
				}
				if err := m.writeSysctl(want, to); err != nil {
					return err
				}
				wrote = true
			}
			if !wrote {
				return nil
			}
		}
		return nil
	})
}

// writeSysctl writes one. What this kernel has not, or does not take, the container
// goes on without: it says so.
func (m *networks) writeSysctl(s *format.Sysctl, value string) error {
	f, err := os.OpenFile(filepath.Join(rtnl.SysctlRoot, s.Name), os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString(value + "\n")
		f.Close()
	}
	if err != nil && !m.told[s.Name] {
		if m.told == nil {
			m.told = map[string]bool{}
		}
		m.told[s.Name] = true
		name := "net." + strings.ReplaceAll(s.Name, "/", ".")
		if errors.Is(err, unix.ENOENT) {
			m.log.Warn("this kernel lacks a sysctl that the container had", "name", name, "value", s.Value)
		} else {
			m.log.Warn("a sysctl of the container could not be set", "name", name, "value", s.Value, "why", err)
		}
	}
	return nil
}
