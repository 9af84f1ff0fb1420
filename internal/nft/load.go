package nft

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/netlink"
)

// gaps is up to how many numbers are skipped so that each part of a rule set has
// the one that it had: programs (firewalld) know their rules by these.
const gaps = 4096

// Load makes a rule set in the thread's network namespace, as a whole.
func Load(all []*Message) error {
	if len(all) == 0 {
		return nil
	}
	c, err := netlink.Open(unix.NETLINK_NETFILTER)
	if err != nil {
		return err
	}
	defer c.Close()
	first, last := parts(all)
	for _, numbered := range []bool{true, false} {
		l := &loader{numbered: numbered, left: gaps}
		l.tables(first)
		if numbered && l.left < 0 {
			continue // too many: new numbers, in the same order
		}
		if err = l.send(c); err == nil || !numbered {
			break
		}
	}
	if err != nil {
		return err
	}
	// Elements of sets last: they may lead to chains and objects. Few at a time.
	l := &loader{}
	for _, m := range last {
		l.add(m, unix.NLM_F_CREATE)
		if l.size > 1<<20 {
			if err := l.send(c); err != nil {
				return err
			}
			l = &loader{}
		}
	}
	return l.send(c)
}

// parts tells those elements apart that can come last: sets of rules of their own
// (anonymous) and constant ones take none any more when a rule uses them.
func parts(all []*Message) (first, last []*Message) {
	const anonymous, constant = 1, 2 // NFT_SET_ANONYMOUS, NFT_SET_CONSTANT
	early := false
	for _, m := range all {
		switch {
		case m.Type == unix.NFT_MSG_NEWSET:
			early = m.number(setFlags)&(anonymous|constant) != 0
			first = append(first, m)
		case m.Type == unix.NFT_MSG_NEWSETELEM && !early:
			last = append(last, m)
		default:
			first = append(first, m)
		}
	}
	return first, last
}

// loader writes a batch.
type loader struct {
	numbered bool // all get the numbers that they had
	left     int  // how many numbers may still be skipped
	batch    []netlink.Message
	what     []*Message // that each is for; nil: it skips a number
	size     int
	set      uint32 // number of the last set in the batch
}

func (l *loader) put(m *Message, typ, flags uint16, body []byte) {
	l.batch = append(l.batch, netlink.Message{Type: Subsystem | typ, Flags: flags, Body: body})
	l.what = append(l.what, m)
	l.size += len(body) + unix.SizeofNlMsghdr
}

func (l *loader) add(m *Message, flags uint16, more ...netlink.Attribute) {
	body := slices.Clone(m.Body)
	if m.Type == unix.NFT_MSG_NEWSET {
		const setID = 10 // NFTA_SET_ID: in the batch
		l.set++
		more = append(more, netlink.Bytes(setID, binary.BigEndian.AppendUint32(nil, l.set)))
	}
	for _, a := range more {
		body = netlink.Append(body, a)
	}
	l.put(m, m.Type, flags, body)
}

func (l *loader) send(c *netlink.Conn) error {
	if len(l.batch) == 0 {
		return nil
	}
	l.batch[len(l.batch)-1].Flags |= unix.NLM_F_ACK
	frame := []byte{0, 0, 0, unix.NFNL_SUBSYS_NFTABLES} // struct nfgenmsg
	begin, end := netlink.Message{Type: unix.NFNL_MSG_BATCH_BEGIN, Body: frame}, netlink.Message{Type: unix.NFNL_MSG_BATCH_END, Body: frame}
	err := c.Batch(begin, end, l.batch)
	var e *netlink.Error
	if errors.As(err, &e) && e.Index >= 0 && l.what[e.Index] != nil {
		return fmt.Errorf("%s: %w", l.what[e.Index], err)
	}
	return err
}

// tables makes tables, and what is in each.
func (l *loader) tables(all []*Message) {
	const skipped = "lxc-restart"
	given := uint64(0)
	in := map[string][]*Message{}
	var tables []*Message
	for _, m := range all {
		if m.Type == unix.NFT_MSG_NEWTABLE {
			tables = append(tables, m)
		} else {
			in[m.Table()] = append(in[m.Table()], m)
		}
	}
	slices.SortStableFunc(tables, byHandle)
	for _, t := range tables {
		l.skip(&given, t.Handle, func() {
			body := netlink.Append([]byte{unix.NFPROTO_INET, 0, 0, 0}, netlink.String(table, skipped))
			l.put(nil, unix.NFT_MSG_NEWTABLE, unix.NLM_F_CREATE, body)
			l.put(nil, unix.NFT_MSG_DELTABLE, 0, body)
		})
		l.add(t, unix.NLM_F_CREATE)
		l.contents(t, in[t.Table()])
	}
}

func byHandle(a, b *Message) int {
	switch {
	case a.Handle < b.Handle:
		return -1
	case a.Handle > b.Handle:
		return 1
	}
	return 0
}

// skip has the kernel give numbers to what is removed at once, up to the one
// before a number, and counts that as given.
func (l *loader) skip(given *uint64, handle uint64, one func()) {
	for l.numbered && *given+1 < handle {
		if l.left--; l.left < 0 {
			return
		}
		one()
		*given++
	}
	*given++
}

// contents makes what is in a table: in the order in which it was made, since what
// a part refers to was there before. A set's elements follow it.
func (l *loader) contents(t *Message, all []*Message) {
	const skipped = "lxc-restart"
	var given uint64
	var order []*Message
	elements := map[*Message][]*Message{}
	place := map[*Message]int{} // of rules, in the list of all
	var set *Message
	for i, m := range all {
		if m.Type == unix.NFT_MSG_NEWSETELEM {
			elements[set] = append(elements[set], m)
			continue
		}
		set = m
		place[m] = i
		order = append(order, m)
	}
	slices.SortStableFunc(order, func(a, b *Message) int {
		ruleA, ruleB := a.Type == unix.NFT_MSG_NEWRULE, b.Type == unix.NFT_MSG_NEWRULE
		switch {
		case l.numbered || !ruleA && !ruleB:
			return byHandle(a, b)
		case ruleA && ruleB:
			return place[a] - place[b]
		case ruleA:
			return 1
		}
		return -1
	})
	made := map[string][]*Message{} // rules by their chains
	for _, m := range order {
		l.skip(&given, m.Handle, func() {
			const name = 3 // NFTA_CHAIN_NAME
			body := netlink.Append(slices.Clone(t.Body[:headerSize]), netlink.String(table, t.text(table)))
			body = netlink.Append(body, netlink.String(name, skipped))
			l.put(nil, unix.NFT_MSG_NEWCHAIN, unix.NLM_F_CREATE, body)
			l.put(nil, unix.NFT_MSG_DELCHAIN, 0, body)
		})
		if m.Type != unix.NFT_MSG_NEWRULE {
			l.add(m, unix.NLM_F_CREATE)
			for _, e := range elements[m] {
				l.add(e, unix.NLM_F_CREATE)
			}
			continue
		}
		l.rule(m, made, place)
	}
}

// rule makes a rule, behind the one that it comes after of those that are made.
func (l *loader) rule(m *Message, made map[string][]*Message, place map[*Message]int) {
	const position = 6 // NFTA_RULE_POSITION
	chain := m.text(ruleChain)
	before := -1
	for i, other := range made[chain] {
		if place[other] < place[m] {
			before = i
		}
	}
	switch others := made[chain]; {
	case before == len(others)-1:
		l.add(m, unix.NLM_F_CREATE|unix.NLM_F_APPEND)
	case before < 0:
		l.add(m, unix.NLM_F_CREATE)
	default:
		l.add(m, unix.NLM_F_CREATE|unix.NLM_F_APPEND, netlink.Bytes(position, binary.BigEndian.AppendUint64(nil, others[before].Handle)))
	}
	made[chain] = slices.Insert(made[chain], before+1, m)
}
