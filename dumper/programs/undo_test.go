package programs

import (
	"errors"
	"slices"
	"testing"

	"lxc-checkpoint/internal/sys"
)

type insn = sys.BPFInstruction

func ins(code, to, from uint8, offset int16, immediate int32) insn {
	return insn{Code: code, Registers: to | from<<4, Offset: offset, Immediate: immediate}
}

// What the instructions of these tests are, by their codes.
const (
	ldw, ldh, ldb, lddw, stxw, stxdw, stw = 0x61, 0x69, 0x71, 0x79, 0x63, 0x7b, 0x62
	mov, movi, addi, andi, jeq, jne, ja   = 0xbf, 0xb7, 0x07, 0x57, 0x15, 0x55, 0x05
	gotol                                 = 0x06
)

// TestUndo: what was one instruction is one again, and all jumps lead where they
// led.
func TestUndo(t *testing.T) {
	fieldOf := func(to, context uint8) rule {
		return rule{ins(ldw, to, context, 40, 0), []insn{ins(lddw, to, context, 16, 0), ins(jeq, to, 0, 1, 0), ins(ldw, to, to, 224, 0)}}
	}
	short := func(to, context uint8) rule {
		return rule{ins(lddw, to, context, 80, 0), []insn{ins(lddw, to, context, 16, 0)}}
	}
	lookup := rule{helper(1), []insn{ins(addi, 1, 0, 0, 312), ins(ldw, 0, 2, 0, 0), ins(ja, 0, 0, 0, 0)}}
	other := rule{helper(26), []insn{helper(77)}}
	r := rules{calls: []rule{lookup, other}, contexts: func(first insn) []rule {
		return []rule{short(destination(first), source(first)), fieldOf(destination(first), source(first))}
	}}
	loaded := []insn{
		ins(mov, 6, 1, 0, 0),
		ins(jeq, 6, 0, 9, 0), // to the end
		ins(stxdw, 10, 1, -8, 0),
		ins(ldw, 7, 6, 40, 0),
		{Code: loadImmediate64, Registers: 1 | pseudoMap<<4}, {},
		helper(1),
		ins(gotol, 0, 0, 0, 1), // over the next
		helper(26),
		ins(lddw, 3, 10, -8, 0),
		ins(lddw, 4, 3, 80, 0),
		ins(jne, 7, 0, -8, 3), // back to the load of the context
		ins(exit, 0, 0, 0, 0),
	}
	x := []insn{
		loaded[0], ins(jeq, 6, 0, 13, 0), loaded[2],
		ins(lddw, 7, 6, 16, 0), ins(jeq, 7, 0, 1, 0), ins(ldw, 7, 7, 224, 0),
		{Code: loadImmediate64, Registers: 1 | pseudoMap<<4, Immediate: 1234}, {},
		lookup.became[0], lookup.became[1], lookup.became[2],
		loaded[7], helper(77), loaded[9], ins(lddw, 4, 3, 16, 0), ins(jne, 7, 0, -13, 3), loaded[12],
	}
	loaded[1].Offset, x[1].Offset = 10, 14
	loaded[11].Offset, x[15].Offset = -9, -13
	got, refs, err := undo(x, r)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, loaded) {
		t.Errorf("got  %v\nwant %v", got, loaded)
	}
	if want := []reference{{4, 1234}}; !slices.Equal(refs, want) {
		t.Errorf("references %v, want %v", refs, want)
	}

	for _, c := range []struct {
		what string
		x    []insn
		want error
	}{
		{"a call of no rule", []insn{helper(78), ins(exit, 0, 0, 0, 0)}, errCall},
		{"a load from the context of no rule", []insn{ins(ldw, 2, 1, 99, 0), ins(exit, 0, 0, 0, 0)}, errContext},
		{"a load through what is the context on one of two ways only",
			[]insn{ins(jeq, 2, 0, 1, 0), ins(movi, 1, 0, 0, 0), ins(ldw, 2, 1, 99, 0), ins(exit, 0, 0, 0, 0)}, nil},
		{"a jump into the middle", []insn{ins(ja, 0, 0, 1, 0), lookup.became[0], lookup.became[1], lookup.became[2], ins(exit, 0, 0, 0, 0)}, errJump},
		{"a jump out of it", []insn{ins(ja, 0, 0, 100, 0), ins(exit, 0, 0, 0, 0)}, errJump},
	} {
		if _, _, err := undo(c.x, r); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	for n := range x { // cut anywhere: an error or none, but an end
		_, _, _ = undo(x[:n], r)
	}
	if _, _, err := undo([]insn{{Code: loadImmediate64}}, r); err == nil {
		t.Error("half of an instruction passes")
	}
}

// TestVariants: the test that systemd's filters have is put in with every jump
// over it.
func TestVariants(t *testing.T) {
	x := []insn{
		ins(jeq, 7, 0, 4, 0), {Code: loadImmediate64, Registers: 1 | pseudoMap<<4}, {Code: 0},
		number(0, 1), ins(jeq, 0, 0, -5, 0), ins(exit, 0, 0, 0, 0),
	}
	want := []insn{
		ins(jeq, 7, 0, 6, 0), x[1], x[2], number(0, 1),
		ins(jne, 8, 0, 1, 2), number(0, 0), ins(jeq, 0, 0, -7, 0), ins(exit, 0, 0, 0, 0),
	}
	n := 0
	for got, refs := range variants(x, []reference{{1, 5}}) {
		if n++; n == 1 {
			continue // as it is
		}
		if !slices.Equal(got, want) || refs[0].at != 1 {
			t.Errorf("got  %v, %v\nwant %v", got, refs, want)
		}
	}
	if n != 2 {
		t.Errorf("%d variants", n)
	}
}
