// Package wireguard says what of a wireguard interface belongs into an image, besides
// what all interfaces have: its private key, port and mark, and its peers with their
// keys, endpoints and addresses (include/uapi/linux/wireguard.h). Nobody tells the
// keys of its sessions: peers agree on new ones by themselves.
package wireguard

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/netlink"
)

// Kind is that of the interfaces.
const Kind = "wireguard"

const (
	getDevice, setDevice = 0, 1 // WG_CMD_*
	version              = 1
	maxBody              = 64 << 10

	// WGDEVICE_A_*
	ifIndex, flags, peers = 1, 5, 8
	replacePeers          = 1 // WGDEVICE_F_REPLACE_PEERS
)

var (
	// Private key, port, mark, peers.
	deviceKeep = []uint16{3, 6, 7, peers}
	// Public key, key that both know, endpoint, interval of keeping alive, addresses.
	// What it counts, and when its peer was heard of, can't be set.
	peerKeep = []uint16{1, 2, 4, 5, 9}
)

// Of a device that the kernel tells in several messages, each but the first has more
// peers, or more addresses of the last one. They can be given back one after the
// other.

// List asks for what is set of an interface of the thread's network namespace.
func List(index uint32) (bodies [][]byte, err error) {
	c, family, err := open()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	told, err := c.Dump(family, append([]byte{getDevice, version, 0, 0}, netlink.Append(nil, netlink.Uint32(ifIndex, index))...))
	if err != nil {
		return nil, fmt.Errorf("ask for its keys and peers: %w", err)
	}
	for _, m := range told {
		if m.Type != family || len(m.Body) < 4 {
			continue
		}
		body, err := kept(m.Body[4:])
		if err != nil {
			return nil, err
		}
		bodies = append(bodies, body)
	}
	return bodies, nil
}

func kept(told []byte) (body []byte, err error) {
	all, err := netlink.Parse(told)
	if err != nil {
		return nil, err
	}
	for _, a := range all {
		if !slices.Contains(deviceKeep, a.Type) {
			continue
		}
		if a.Type == peers {
			if a.Value, err = keptPeers(a.Value); err != nil {
				return nil, err
			}
		}
		body = netlink.Append(body, a)
	}
	return body, nil
}

func keptPeers(told []byte) (list []byte, err error) {
	all, err := netlink.Parse(told)
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		inner, err := netlink.Parse(p.Value)
		if err != nil {
			return nil, err
		}
		p.Value = nil
		for _, a := range inner {
			if slices.Contains(peerKeep, a.Type) {
				p.Value = netlink.Append(p.Value, a)
			}
		}
		list = netlink.Append(list, p)
	}
	return list, nil
}

// Check says whether a message of an image is one that List could have told.
func Check(body []byte) error {
	if len(body) > maxBody {
		return fmt.Errorf("%d bytes about a wireguard", len(body))
	}
	again, err := kept(body)
	if err != nil || string(again) != string(body) {
		return errors.New("keys and peers of a wireguard that no kernel tells so")
	}
	return nil
}

// Load sets what List told.
func Load(index uint32, bodies [][]byte) error {
	if len(bodies) == 0 {
		return nil
	}
	c, family, err := open()
	if err != nil {
		return err
	}
	defer c.Close()
	for i, b := range bodies {
		request := netlink.Append([]byte{setDevice, version, 0, 0}, netlink.Uint32(ifIndex, index))
		if i == 0 {
			request = netlink.Append(request, netlink.Uint32(flags, replacePeers))
		}
		if err := c.Do(family, 0, append(request, b...)); err != nil {
			return fmt.Errorf("set its keys and peers: %w", err)
		}
	}
	return nil
}

// open opens a connection, and finds the number of the family of messages
// (include/uapi/linux/genetlink.h).
func open() (*netlink.Conn, uint16, error) {
	const control, getFamily, familyID, familyName = 16, 3, 1, 2 // GENL_ID_CTRL, CTRL_*
	c, err := netlink.Open(unix.NETLINK_GENERIC)
	if err != nil {
		return nil, 0, err
	}
	all, err := c.Get(control, append([]byte{getFamily, 1, 0, 0}, netlink.Append(nil, netlink.String(familyName, Kind))...))
	if err == nil {
		for _, m := range all {
			attributes, err := netlink.Parse(m.Body[min(len(m.Body), 4):])
			if err != nil {
				break
			}
			for _, a := range attributes {
				if a.Type == familyID && len(a.Value) == 2 {
					return c, uint16(a.Value[0]) | uint16(a.Value[1])<<8, nil
				}
			}
		}
		err = errors.New("the kernel does not tell its messages' number")
	}
	c.Close()
	return nil, 0, fmt.Errorf("speak of wireguards with the kernel: %w", err)
}
