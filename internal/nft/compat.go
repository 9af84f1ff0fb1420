package nft

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/netlink"
)

// compat is the protocol that a rule with extensions of iptables is for
// (NFTA_RULE_COMPAT): some of them can't be without, and the kernel does not tell
// it. The rule tells: before them, it compares the packet's protocol with it. nil: it has
// none.
func compat(body []byte) []byte {
	const (
		name, data = 1, 2 // NFTA_EXPR_NAME, NFTA_EXPR_DATA
		inverted   = 2    // NFT_RULE_COMPAT_F_INV
	)
	rule := &Message{Body: body}
	protocol, flags := uint32(0), uint32(0)
	loaded := false // the protocol is what the next comparison is of
	list := rule.attribute(ruleExpressions)
	if list == nil {
		return nil
	}
	extended := false
	expressions, _ := netlink.Parse(list.Value)
	for _, e := range expressions {
		parts, _ := netlink.Parse(e.Value)
		expression, what := "", []netlink.Attribute(nil)
		for _, p := range parts {
			switch p.Type {
			case name:
				expression = p.Text()
			case data:
				what, _ = netlink.Parse(p.Value)
			}
		}
		switch expression {
		case "meta":
			loaded = number(what, unix.NFTA_META_KEY) == unix.NFT_META_L4PROTO
		case "match", "target":
			extended = true
		case "payload":
			offset := number(what, unix.NFTA_PAYLOAD_OFFSET)
			loaded = number(what, unix.NFTA_PAYLOAD_BASE) == unix.NFT_PAYLOAD_NETWORK_HEADER && number(what, unix.NFTA_PAYLOAD_LEN) == 1 &&
				(body[0] == unix.AF_INET && offset == 9 || body[0] == unix.AF_INET6 && offset == 6)
		case "cmp":
			if value := comparedWith(what); loaded && len(value) == 1 && protocol == 0 {
				protocol = uint32(value[0])
				if number(what, unix.NFTA_CMP_OP) == unix.NFT_CMP_NEQ {
					flags = inverted
				}
			}
			loaded = false
		}
	}
	if !extended {
		return nil
	}
	be := binary.BigEndian
	return netlink.Append(nil, netlink.Nest(ruleCompat, netlink.Bytes(1, be.AppendUint32(nil, protocol)), netlink.Bytes(2, be.AppendUint32(nil, flags))))
}

func number(all []netlink.Attribute, typ uint16) uint32 {
	for _, a := range all {
		if a.Type == typ && len(a.Value) >= 4 {
			return binary.BigEndian.Uint32(a.Value)
		}
	}
	return ^uint32(0)
}

// comparedWith is the value of a comparison (NFTA_CMP_DATA, NFTA_DATA_VALUE).
func comparedWith(all []netlink.Attribute) []byte {
	for _, a := range all {
		if a.Type != unix.NFTA_CMP_DATA {
			continue
		}
		parts, _ := netlink.Parse(a.Value)
		for _, p := range parts {
			if p.Type == unix.NFTA_DATA_VALUE {
				return p.Value
			}
		}
	}
	return nil
}
