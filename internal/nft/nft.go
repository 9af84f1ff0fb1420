// Package nft says what of the messages of nf_tables belongs into an image. So
// nothing in an image reaches a kernel but what stands here.
package nft

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/netlink"
)

// Message makes a part of a rule set.
type Message struct {
	Type   uint16 // NFT_MSG_NEW*
	Body   []byte // struct nfgenmsg and attributes
	Handle uint64 // the number that it has; 0: none
}

// Subsystem is what a message's type is combined with (nfnetlink).
const Subsystem = unix.NFNL_SUBSYS_NFTABLES << 8

const headerSize = 4 // struct nfgenmsg

// kind is one of what a rule set has.
type kind struct {
	name     string
	new, get uint16
	handle   uint16   // attribute: the number that the kernel has given it
	keep     []uint16 // attributes
}

// All of the kinds have the table's name, or their own as a table, as attribute 1.
const table = 1

var kinds = []*kind{
	// name, flags, user data
	{"table", unix.NFT_MSG_NEWTABLE, unix.NFT_MSG_GETTABLE, 4, []uint16{1, 2, 6}},
	// table, name, hook, policy, type, counters, flags, user data
	{"chain", unix.NFT_MSG_NEWCHAIN, unix.NFT_MSG_GETCHAIN, 2, []uint16{1, 3, 4, 5, 7, 8, 10, 12}},
	// table, name, type, data, user data
	{"object", unix.NFT_MSG_NEWOBJ, unix.NFT_MSG_GETOBJ, 6, []uint16{1, 2, 3, 4, 8}},
	// table, name, flags, types and lengths of key and data, policy, description,
	// timeout, interval, user data, type of objects, expressions
	{"set", unix.NFT_MSG_NEWSET, unix.NFT_MSG_GETSET, 16, []uint16{1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 15, 17, 18}},
	// table, name, hook, flags
	{"flow table", unix.NFT_MSG_NEWFLOWTABLE, unix.NFT_MSG_GETFLOWTABLE, 5, []uint16{1, 2, 3, 7}},
	// table, chain, expressions, protocol for extensions of iptables, user data
	{"rule", unix.NFT_MSG_NEWRULE, unix.NFT_MSG_GETRULE, 3, []uint16{1, 2, 4, ruleCompat, 7}},
}

// elements of a set: table, set, elements.
var elements = &kind{"elements", unix.NFT_MSG_NEWSETELEM, unix.NFT_MSG_GETSETELEM, 0, []uint16{1, 2, 3}}

// Attributes by which something is found.
const (
	tableFlags, tableOwner = 2, 2 // NFTA_TABLE_FLAGS, NFT_TABLE_F_OWNER
	setName, setFlags      = 2, 3 // NFTA_SET_NAME, NFTA_SET_FLAGS
	setElements            = 3    // NFTA_SET_ELEM_LIST_ELEMENTS
	ruleChain              = 2    // NFTA_RULE_CHAIN
	ruleExpressions        = 4    // NFTA_RULE_EXPRESSIONS
	ruleCompat             = 5    // NFTA_RULE_COMPAT
)

// Owned are tables that belong to a program's socket, and go with it.
type Owned struct{ Table string }

// List is the rule set of the thread's network namespace; tables that belong to a
// socket are told apart.
func List() (all []*Message, owned []Owned, err error) {
	c, err := netlink.Open(unix.NETLINK_NETFILTER)
	if errors.Is(err, unix.EPROTONOSUPPORT) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	defer c.Close()
	for _, k := range kinds {
		list, err := dump(c, k, make([]byte, headerSize))
		switch {
		case errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL): // no nf_tables, or none of that kind
			continue
		case err != nil:
			return nil, nil, err
		}
		for _, m := range list {
			all = append(all, m)
			if k.new == unix.NFT_MSG_NEWTABLE && m.number(tableFlags)&tableOwner != 0 {
				owned = append(owned, Owned{m.text(table)})
			}
			if k.new != unix.NFT_MSG_NEWSET {
				continue
			}
			request := slices.Clone(m.Body[:headerSize])
			request = netlink.Append(request, netlink.String(table, m.text(table)))
			request = netlink.Append(request, netlink.String(setName, m.text(setName)))
			of, err := dump(c, elements, request)
			if err != nil {
				return nil, nil, err
			}
			all = append(all, of...)
		}
	}
	return all, owned, nil
}

func dump(c *netlink.Conn, k *kind, request []byte) ([]*Message, error) {
	list, err := c.Dump(Subsystem|k.get, request)
	if err != nil {
		return nil, fmt.Errorf("list the %s of nf_tables: %w", k.name, err)
	}
	var all []*Message
	for _, m := range list {
		if m.Type != Subsystem|k.new || len(m.Body) < headerSize {
			continue
		}
		header := []byte{m.Body[0], 0, 0, 0} // without the generation of the rule set
		attributes, err := netlink.Parse(m.Body[headerSize:])
		if err != nil {
			return nil, err
		}
		kept := &Message{Type: k.new}
		for _, a := range attributes {
			switch {
			case k.handle != 0 && a.Type == k.handle && len(a.Value) == 8:
				kept.Handle = binary.BigEndian.Uint64(a.Value)
			case k == elements && a.Type == setElements:
				if a.Value = settleElements(a.Value); len(a.Value) > 0 {
					header = netlink.Append(header, a)
				}
			case slices.Contains(k.keep, a.Type):
				header = netlink.Append(header, a)
			}
		}
		if kept.Body = header; k.new == unix.NFT_MSG_NEWRULE {
			kept.Body = append(header, compat(header)...)
		}
		if k != elements || kept.attribute(setElements) != nil {
			all = append(all, kept)
		}
	}
	return all, nil
}

// settleElements takes from those elements that are the end of an interval all but
// where that is: Linux 6.18 tells a timeout of theirs, and does not take it.
func settleElements(b []byte) []byte {
	const key, flags, intervalEnd = 1, 3, 1 // NFTA_SET_ELEM_*, NFT_SET_ELEM_INTERVAL_END
	list, err := netlink.Parse(b)
	if err != nil {
		return b
	}
	var kept []byte
	for _, e := range list {
		parts, err := netlink.Parse(e.Value)
		if err != nil {
			return b
		}
		isEnd := slices.ContainsFunc(parts, func(a netlink.Attribute) bool {
			return a.Type == flags && len(a.Value) >= 4 && binary.BigEndian.Uint32(a.Value)&intervalEnd != 0
		})
		if isEnd {
			e.Value = nil
			for _, a := range parts {
				if a.Type == key || a.Type == flags {
					e.Value = netlink.Append(e.Value, a)
				}
			}
		}
		kept = netlink.Append(kept, e)
	}
	return kept
}

// Check says whether a message of an image is one that List could have kept.
func (m *Message) Check() error {
	for _, k := range append([]*kind{elements}, kinds...) {
		if k.new != m.Type {
			continue
		}
		if len(m.Body) < headerSize || len(m.Body) > 1<<20 || m.Body[1] != 0 || m.Body[2] != 0 || m.Body[3] != 0 {
			return fmt.Errorf("a %s of nf_tables of %d bytes", k.name, len(m.Body))
		}
		attributes, err := netlink.Parse(m.Body[headerSize:])
		if err != nil {
			return fmt.Errorf("a %s of nf_tables: %w", k.name, err)
		}
		for _, a := range attributes {
			if !slices.Contains(k.keep, a.Type) {
				return fmt.Errorf("a %s of nf_tables with attribute %d, which this version does not know", k.name, a.Type)
			}
		}
		return nil
	}
	return fmt.Errorf("a message %d of nf_tables, which this version does not know", m.Type)
}

func (m *Message) attribute(typ uint16) *netlink.Attribute {
	all, err := netlink.Parse(m.Body[headerSize:])
	if err != nil {
		return nil
	}
	for _, a := range all {
		if a.Type == typ {
			return &a
		}
	}
	return nil
}

// number is an attribute of 32 bits in network byte order.
func (m *Message) number(typ uint16) uint32 {
	if a := m.attribute(typ); a != nil && len(a.Value) >= 4 {
		return binary.BigEndian.Uint32(a.Value)
	}
	return 0
}

func (m *Message) text(typ uint16) string {
	if a := m.attribute(typ); a != nil {
		return a.Text()
	}
	return ""
}

// Table is the table that it makes or is in, with its family.
func (m *Message) Table() string { return string(m.Body[:1]) + m.text(table) }

// String names it for an operator.
func (m *Message) String() string {
	for _, k := range append([]*kind{elements}, kinds...) {
		if k.new == m.Type {
			return fmt.Sprintf("%s of nf_tables, in table %s", k.name, m.text(table))
		}
	}
	return "a message of nf_tables"
}
