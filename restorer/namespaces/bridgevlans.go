package namespaces

import (
	"fmt"

	"lxc-checkpoint/internal/rtnl"
)

// vlans puts bridges and their ports into their VLANs: a new one is in the default.
func (s *netspace) vlans() error {
	have, err := map[uint32]*rtnl.VLANs(nil), error(nil)
	for _, l := range s.Links {
		if !l.HasVlans {
			continue
		}
		if have == nil {
			if have, err = rtnl.BridgeVLANs(s.conn); err != nil {
				return err
			}
		}
		now := have[l.Index]
		if now == nil {
			now = &rtnl.VLANs{}
		}
		if err := rtnl.SetVLANs(s.conn, l.Index, l.Kind == "bridge", l.Vlans, now.List); err != nil {
			return fmt.Errorf("network interface %s: %w", l.Name, err)
		}
	}
	return nil
}
