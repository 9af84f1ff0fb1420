// Package conntrack says what of the connections that a network namespace tracks
// belongs into an image, and has it track them again.
package conntrack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/netlink"
)

const (
	subsystem  = unix.NFNL_SUBSYS_CTNETLINK << 8
	newEntry   = 0 // IPCTNL_MSG_CT_NEW
	getEntries = 1 // IPCTNL_MSG_CT_GET
	headerSize = 4 // struct nfgenmsg

	tupleOrig, tupleReply    = 1, 2 // CTA_TUPLE_*
	status, protoinfo        = 3, 4
	timeout, mark            = 7, 8
	zone, labels             = 18, 22
	natSource, natTarget     = 6, 13 // CTA_NAT_SRC, CTA_NAT_DST
	statusSource, statusDest = 1 << 4, 1 << 5
)

// keep are the attributes of an image's entries, in the form in which the kernel
// tells them.
var keep = []uint16{tupleOrig, tupleReply, status, protoinfo, timeout, mark, zone, labels}

// List are the connections that the thread's network namespace tracks.
func List() ([][]byte, error) {
	c, err := netlink.Open(unix.NETLINK_NETFILTER)
	if errors.Is(err, unix.EPROTONOSUPPORT) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer c.Close()
	list, err := c.Dump(subsystem|getEntries, make([]byte, headerSize))
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL) {
		return nil, nil // a kernel without
	}
	if err != nil {
		return nil, fmt.Errorf("list the tracked connections: %w", err)
	}
	var all [][]byte
	for _, m := range list {
		if m.Type != subsystem|newEntry || len(m.Body) < headerSize {
			continue
		}
		attributes, err := netlink.Parse(m.Body[headerSize:])
		if err != nil {
			return nil, err
		}
		body := []byte{m.Body[0], 0, 0, 0}
		for _, a := range attributes {
			if slices.Contains(keep, a.Type) {
				body = netlink.Append(body, a)
			}
		}
		all = append(all, body)
	}
	return all, nil
}

// Check says whether an entry of an image is one that List could have made.
func Check(body []byte) error {
	if len(body) < headerSize || len(body) > 16<<10 || body[1] != 0 || body[2] != 0 || body[3] != 0 {
		return fmt.Errorf("a tracked connection of %d bytes", len(body))
	}
	attributes, err := netlink.Parse(body[headerSize:])
	if err != nil {
		return fmt.Errorf("a tracked connection: %w", err)
	}
	for _, a := range attributes {
		if !slices.Contains(keep, a.Type) {
			return fmt.Errorf("a tracked connection with attribute %d, which this version does not know", a.Type)
		}
	}
	return nil
}

// Load has the thread's network namespace track connections. It returns how many it
// did not take, and why it did not take the first of these.
func Load(all [][]byte) (failed int, why error) {
	if len(all) == 0 {
		return 0, nil
	}
	c, err := netlink.Open(unix.NETLINK_NETFILTER)
	if err != nil {
		return len(all), err
	}
	defer c.Close()
	for _, body := range all {
		request, err := entry(body)
		if err == nil {
			err = c.Do(subsystem|newEntry, unix.NLM_F_CREATE|unix.NLM_F_EXCL, request)
		}
		if err == nil || errors.Is(err, unix.EEXIST) {
			continue
		}
		if failed++; why == nil {
			why = err
		}
	}
	return failed, why
}

// entry is a request for a connection as it was told. Which addresses are translated
// has to be told otherwise: the answers' addresses are what they would be without,
// and by what each is to be replaced.
func entry(body []byte) ([]byte, error) {
	all, err := netlink.Parse(body[headerSize:])
	if err != nil {
		return nil, err
	}
	parts := map[uint16]netlink.Attribute{}
	for _, a := range all {
		parts[a.Type] = a
	}
	var bits uint32
	if v := parts[status].Value; len(v) >= 4 {
		bits = binary.BigEndian.Uint32(v)
	}
	if bits&(statusSource|statusDest) == 0 {
		return body, nil
	}
	orig, err := parseTuple(parts[tupleOrig].Value)
	if err != nil {
		return nil, err
	}
	reply, err := parseTuple(parts[tupleReply].Value)
	if err != nil {
		return nil, err
	}
	request := slices.Clone(body[:headerSize])
	for _, a := range all {
		if a.Type == tupleReply {
			a = orig.answer()
		}
		request = netlink.Append(request, a)
	}
	if bits&statusSource != 0 {
		request = netlink.Append(request, translation(natSource, reply.to, reply.toPort))
	}
	if bits&statusDest != 0 {
		request = netlink.Append(request, translation(natTarget, reply.from, reply.fromPort))
	}
	return request, nil
}

// tuple is one direction of a connection.
type tuple struct {
	from, to         []byte // addresses
	fromPort, toPort []byte
	number           byte // of the protocol
}

var errTuple = errors.New("translated addresses of a protocol without ports")

const (
	tupleIP, tupleProto    = 1, 2    // CTA_TUPLE_IP, CTA_TUPLE_PROTO
	source4, source6       = 1, 3    // CTA_IP_V4_SRC …; the destination's is one more
	number, source, target = 1, 2, 3 // CTA_PROTO_NUM, CTA_PROTO_SRC_PORT, CTA_PROTO_DST_PORT
)

func parseTuple(b []byte) (*tuple, error) {
	t := &tuple{}
	all, err := netlink.Parse(b)
	if err != nil {
		return nil, err
	}
	for _, a := range all {
		if a.Type != tupleIP && a.Type != tupleProto {
			continue
		}
		parts, err := netlink.Parse(a.Value)
		if err != nil {
			return nil, err
		}
		for _, p := range parts {
			switch {
			case a.Type == tupleIP && (p.Type == source4 || p.Type == source6):
				t.from = p.Value
			case a.Type == tupleIP:
				t.to = p.Value
			case p.Type == number && len(p.Value) == 1:
				t.number = p.Value[0]
			case p.Type == source:
				t.fromPort = p.Value
			case p.Type == target:
				t.toPort = p.Value
			}
		}
	}
	if len(t.from) == 0 || len(t.to) == 0 || len(t.fromPort) != 2 || len(t.toPort) != 2 {
		return nil, errTuple
	}
	return t, nil
}

// answer is the other direction, without translation.
func (t *tuple) answer() netlink.Attribute {
	from := uint16(source4)
	if len(t.from) == 16 {
		from = source6
	}
	return netlink.Nest(tupleReply,
		netlink.Nest(tupleIP, netlink.Bytes(from, t.to), netlink.Bytes(from+1, t.from)),
		netlink.Nest(tupleProto, netlink.Bytes(number, []byte{t.number}), netlink.Bytes(source, t.toPort), netlink.Bytes(target, t.fromPort)))
}

// translation says by what an address and a port are replaced.
func translation(typ uint16, address, port []byte) netlink.Attribute {
	first, last := uint16(1), uint16(2) // CTA_NAT_V4_MINIP, CTA_NAT_V4_MAXIP
	if len(address) == 16 {
		first, last = 4, 5
	}
	const ports = 3 // CTA_NAT_PROTO: CTA_PROTONAT_PORT_MIN, _MAX
	return netlink.Nest(typ, netlink.Bytes(first, address), netlink.Bytes(last, address),
		netlink.Nest(ports, netlink.Bytes(1, port), netlink.Bytes(2, port)))
}
