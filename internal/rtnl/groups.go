package rtnl

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/netlink"
)

// Labels say how IPv6 addresses are preferred to others (RFC 6724; struct
// ifaddrlblmsg).
var Labels = &Thing{
	Name: "label of addresses", New: unix.RTM_NEWADDRLABEL, Del: unix.RTM_DELADDRLABEL, Get: unix.RTM_GETADDRLABEL,
	header: 12, families: []byte{unix.AF_INET6},
	keep: []uint16{1, 2}, // IFAL_ADDRESS, IFAL_LABEL
	settle: func(header []byte, all []netlink.Attribute) ([]netlink.Attribute, bool) {
		header[1], header[3] = 0, 0
		clear(header[8:]) // the number of the listing
		return all, true
	},
}

// Groups are the multicast groups that ports of bridges were told to belong to
// (struct br_port_msg). The kernel tells all of a bridge in one message, in another
// form than it takes them.
var Groups = &Thing{
	Name: "multicast group", New: unix.RTM_NEWMDB, Del: unix.RTM_DELMDB, Get: unix.RTM_GETMDB, told: unix.RTM_GETMDB,
	header: sizeofPortMsg, families: []byte{unix.AF_BRIDGE},
	keep:   []uint16{setEntry, setEntryAttributes},
	settle: func(_ []byte, all []netlink.Attribute) ([]netlink.Attribute, bool) { return all, true },
	split:  splitGroups,
}

const (
	sizeofPortMsg                = 8
	sizeofEntry                  = 28   // struct br_mdb_entry
	setEntry, setEntryAttributes = 1, 2 // MDBA_SET_ENTRY*
)

// splitGroups makes a message for each permanent group of what the kernel tells.
func splitGroups(body []byte) ([][]byte, error) {
	const mdb, entry, info = 1, 1, 1 // MDBA_MDB, MDBA_MDB_ENTRY, MDBA_MDB_ENTRY_INFO
	if len(body) < sizeofPortMsg {
		return nil, fmt.Errorf("a short message about multicast groups of a bridge")
	}
	var groups [][]byte
	all, err := netlink.Parse(body[sizeofPortMsg:])
	if err != nil {
		return nil, err
	}
	for _, a := range all {
		if a.Type != mdb {
			continue // which ports lead to routers is learnt
		}
		entries, err := netlink.Parse(a.Value)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			infos, err := netlink.Parse(e.Value)
			if err != nil || e.Type != entry {
				return nil, err
			}
			for _, i := range infos {
				if i.Type != info || len(i.Value) < sizeofEntry {
					continue
				}
				group, ok, err := group(body[:sizeofPortMsg], i.Value)
				if err != nil {
					return nil, err
				}
				if ok {
					groups = append(groups, group)
				}
			}
		}
	}
	return groups, nil
}

// group makes the message that makes a group; false: it is a learnt one, or follows
// from another (MDB_FLAGS_STAR_EXCL).
func group(header, told []byte) ([]byte, bool, error) {
	const (
		permanent, starExclude = 1, 4 // MDB_PERMANENT, MDB_FLAGS_STAR_EXCL
		toldSource, toldProto  = 4, 5 // MDBA_MDB_EATTR_*
		takeSource, takeProto  = 1, 4 // MDBE_ATTR_*
		protoStatic            = unix.RTPROT_STATIC
		stateAt, flagsAt       = 4, 5
	)
	entry := append([]byte(nil), told[:sizeofEntry]...)
	if entry[stateAt] != permanent || entry[flagsAt]&starExclude != 0 {
		return nil, false, nil
	}
	entry[flagsAt] = 0
	all, err := netlink.Parse(told[sizeofEntry:])
	if err != nil {
		return nil, false, err
	}
	var more []netlink.Attribute
	for _, a := range all {
		switch {
		case a.Type == toldSource:
			more = append(more, netlink.Bytes(takeSource, a.Value))
		case a.Type == toldProto && len(a.Value) == 1 && a.Value[0] != protoStatic: // before Linux 6.2 there was no other
			more = append(more, netlink.Bytes(takeProto, a.Value))
		}
	}
	body := make([]byte, sizeofPortMsg)
	body[0] = unix.AF_BRIDGE
	binary.NativeEndian.PutUint32(body[4:], binary.NativeEndian.Uint32(header[4:]))
	body = netlink.Append(body, netlink.Bytes(setEntry, entry))
	if len(more) > 0 {
		body = netlink.Append(body, netlink.Nest(setEntryAttributes, more...))
	}
	return body, true, nil
}
