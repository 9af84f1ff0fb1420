// Package ipset says what of the messages of ipset(8) belongs into an image: the
// sets of a network namespace with their elements, as "ipset save" has them.
package ipset

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/netlink"
)

// Of include/uapi/linux/netfilter/ipset/ip_set.h.
const (
	subsystem         = unix.NFNL_SUBSYS_IPSET << 8
	create, save, add = 2, 8, 9 // IPSET_CMD_*
	list              = 7
	headerSize        = 4 // struct nfgenmsg

	protocol, setName, typeName, revision, family = 1, 2, 3, 4, 5 // IPSET_ATTR_*
	data, elements, lineNumber                    = 7, 8, 9
	version                                       = 7 // of the protocol, Linux 4.19
	maxBody                                       = 1 << 20
)

// settings are what of a set's data can be given when it is made: not what it
// counts.
var settings = []uint16{1, 2, 3, 4, 5, 6, 8, 10, 11, 12, 17, 18, 19, 20, 21, 22, 23}

// List asks for the sets of the thread's network namespace: a message that makes each
// set, and those that fill it. Sets of sets come last.
func List() ([][]byte, error) {
	c, err := netlink.Open(unix.NETLINK_NETFILTER)
	if errors.Is(err, unix.EPROTONOSUPPORT) {
		return nil, nil // a kernel without
	}
	if err != nil {
		return nil, err
	}
	defer c.Close()
	told, err := c.Dump(subsystem|save, netlink.Append(header(), netlink.Bytes(protocol, []byte{version})))
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) {
		return nil, nil // a kernel without
	}
	if err != nil {
		return nil, fmt.Errorf("list the ipsets: %w", err)
	}
	var all [][]byte
	for _, m := range told {
		if m.Type != subsystem|save && m.Type != subsystem|list || len(m.Body) < headerSize {
			continue
		}
		bodies, err := split(m.Body)
		if err != nil {
			return nil, err
		}
		all = append(all, bodies...)
	}
	return all, nil
}

func header() []byte { return []byte{unix.AF_INET, 0, 0, 0} } // struct nfgenmsg, as ipset(8) has it

// split makes of a message that tells a set, or a part of one, those that make it.
func split(told []byte) ([][]byte, error) {
	attributes, err := netlink.Parse(told[headerSize:])
	if err != nil {
		return nil, err
	}
	begin := netlink.Append(header(), netlink.Bytes(protocol, []byte{version}))
	making, filling := begin, begin
	isNew, isFilled := false, false
	for _, a := range attributes {
		switch a.Type {
		case setName:
			making, filling = netlink.Append(slices.Clone(making), a), netlink.Append(slices.Clone(filling), a)
		case typeName, revision, family:
			isNew = true
			making = netlink.Append(making, a)
		case data:
			inner, err := netlink.Parse(a.Value)
			if err != nil {
				return nil, err
			}
			inner = slices.DeleteFunc(inner, func(a netlink.Attribute) bool { return !slices.Contains(settings, a.Type) })
			if inner, err = marked(inner); err != nil {
				return nil, err
			}
			making = netlink.Append(making, netlink.Nest(data, inner...))
		case elements:
			isFilled = len(a.Value) > 0
			each, err := netlink.Parse(a.Value)
			if err != nil {
				return nil, err
			}
			for i, e := range each {
				inner, err := netlink.Parse(e.Value)
				if err == nil {
					inner, err = marked(inner)
				}
				if err != nil {
					return nil, err
				}
				each[i] = netlink.Nest(e.Type, inner...)
			}
			filling = netlink.Append(filling, netlink.Attribute{Type: lineNumber, Flags: netlink.NetByteOrder, Value: make([]byte, 4)})
			filling = netlink.Append(filling, netlink.Nest(elements, each...))
		}
	}
	var bodies [][]byte
	if isNew {
		bodies = append(bodies, making)
	}
	if isFilled {
		bodies = append(bodies, filling)
	}
	return bodies, nil
}

// marked says of IP addresses that they are in the network's byte order: the kernel
// tells them without, and does not take them so (Linux 6.18).
func marked(all []netlink.Attribute) ([]netlink.Attribute, error) {
	const ip, ipTo, ip2, ip2To = 1, 2, 20, 22 // IPSET_ATTR_*
	for i, a := range all {
		if a.Flags&netlink.Nested == 0 || a.Type != ip && a.Type != ipTo && a.Type != ip2 && a.Type != ip2To {
			continue
		}
		inner, err := netlink.Parse(a.Value)
		if err != nil {
			return nil, err
		}
		for j := range inner {
			inner[j].Flags |= netlink.NetByteOrder
		}
		all[i] = netlink.Nest(a.Type, inner...)
	}
	return all, nil
}

// fills tells a message that fills a set.
func fills(attributes []netlink.Attribute) bool {
	return slices.ContainsFunc(attributes, func(a netlink.Attribute) bool { return a.Type == elements })
}

// Check says whether a message of an image is one that List could have made.
func Check(body []byte) error {
	if len(body) < headerSize || len(body) > maxBody {
		return fmt.Errorf("an ipset of %d bytes", len(body))
	}
	attributes, err := netlink.Parse(body[headerSize:])
	if err != nil {
		return fmt.Errorf("an ipset: %w", err)
	}
	for _, a := range attributes {
		switch a.Type {
		case protocol, setName, typeName, revision, family, data, elements, lineNumber:
		default:
			return fmt.Errorf("an ipset with attribute %d, which this version does not know", a.Type)
		}
	}
	return nil
}

// Load makes sets in the thread's network namespace.
func Load(bodies [][]byte) error {
	if len(bodies) == 0 {
		return nil
	}
	c, err := netlink.Open(unix.NETLINK_NETFILTER)
	if err != nil {
		return fmt.Errorf("this kernel lacks ipsets (modprobe ip_set): %w", err)
	}
	defer c.Close()
	for _, body := range bodies {
		attributes, err := netlink.Parse(body[headerSize:])
		if err != nil {
			return err
		}
		command, flags := uint16(create), uint16(unix.NLM_F_CREATE|unix.NLM_F_EXCL)
		if fills(attributes) {
			command = add
		}
		if err := c.Do(subsystem|command, flags, body); err != nil {
			return fmt.Errorf("ipset %s: %w", name(attributes), explain(err))
		}
	}
	return nil
}

func name(attributes []netlink.Attribute) string {
	for _, a := range attributes {
		if a.Type == setName {
			return a.Text()
		}
	}
	return "without a name"
}

// explain says what the numbers mean that ipset has besides the system's
// (enum ipset_errno).
func explain(err error) error {
	const private, findType = 4096, 4099 // IPSET_ERR_PRIVATE, IPSET_ERR_FIND_TYPE
	var number unix.Errno
	if errors.As(err, &number) && number >= private {
		if number == findType {
			return fmt.Errorf("this kernel lacks sets of its type, or of its revision")
		}
		return fmt.Errorf("error %d of ipset", number)
	}
	return err
}
