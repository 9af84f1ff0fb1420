package iptables

import (
	"encoding/binary"
	"strings"
	"testing"
)

// table is one of n entries of arptables.
func table(n int) *Table {
	k, _ := kindOf("arp")
	t := &Table{Kind: "arp", Name: "filter", HookEntry: make([]uint32, 3), Underflow: make([]uint32, 3), Rules: uint32(n)}
	for range n {
		e := make([]byte, k.size+8)
		binary.NativeEndian.PutUint16(e[k.next:], uint16(len(e)))
		t.Entries = append(t.Entries, e...)
	}
	return t
}

// TestCheck: what no kernel has told is not loaded.
func TestCheck(t *testing.T) {
	if err := table(3).Check(); err != nil {
		t.Error(err)
	}
	for what, spoil := range map[string]func(*Table){
		"an unknown kind":    func(t *Table) { t.Kind = "eb" },
		"no name":            func(t *Table) { t.Name = "" },
		"a long name":        func(t *Table) { t.Name = strings.Repeat("x", 32) },
		"a hook too many":    func(t *Table) { t.HookEntry = append(t.HookEntry, 0) },
		"no entries":         func(t *Table) { t.Entries, t.Rules = nil, 0 },
		"another number":     func(t *Table) { t.Rules++ },
		"a cut entry":        func(t *Table) { t.Entries = t.Entries[:len(t.Entries)-1] },
		"an endless entry":   func(t *Table) { binary.NativeEndian.PutUint16(t.Entries[166:], 0) },
		"an entry that is 1": func(t *Table) { binary.NativeEndian.PutUint16(t.Entries[166:], 1) },
	} {
		bad := table(3)
		spoil(bad)
		if bad.Check() == nil {
			t.Errorf("a table with %s passes", what)
		}
	}
}
