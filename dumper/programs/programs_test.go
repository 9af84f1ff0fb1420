package programs

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/dumper/view"
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/internal/sys"
	"lxc-checkpoint/refusal"
)

func newMap(t *testing.T, m *sys.BPFMap) int {
	t.Helper()
	need.Check(t, need.Root)
	fd, err := sys.BPFMapCreate(m)
	if err != nil {
		t.Fatalf("make a map of type %d: %v", m.Type, err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// loadMap loads the address of a map into register 1.
func loadMap(fd int) []insn {
	return []insn{{Code: loadImmediate64, Registers: 1 | pseudoMap<<4, Immediate: int32(fd)}, {}}
}

func join(lists ...[]insn) []insn { return slices.Concat(lists...) }

// end allows it: loads at most some other instructions before.
func end() []insn { return []insn{number(0, 1), ins(exit, 0, 0, 0, 0)} }

// TestProgramsComeBack: what was loaded is what is found, instruction by
// instruction.
func TestProgramsComeBack(t *testing.T) {
	array := newMap(t, &sys.BPFMap{Type: unix.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 8, MaxEntries: 2})
	wide := newMap(t, &sys.BPFMap{Type: unix.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 24, MaxEntries: 5})
	hash := newMap(t, &sys.BPFMap{Type: unix.BPF_MAP_TYPE_HASH, KeySize: 4, ValueSize: 12, MaxEntries: 5})
	trie := newMap(t, &sys.BPFMap{Type: unix.BPF_MAP_TYPE_LPM_TRIE, KeySize: 8, ValueSize: 8, MaxEntries: 5, Flags: unix.BPF_F_NO_PREALLOC})
	single := newMap(t, &sys.BPFMap{Type: unix.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 16, MaxEntries: 1})
	perCPU := newMap(t, &sys.BPFMap{Type: unix.BPF_MAP_TYPE_PERCPU_ARRAY, KeySize: 4, ValueSize: 8, MaxEntries: 5})
	lru := newMap(t, &sys.BPFMap{Type: unix.BPF_MAP_TYPE_LRU_HASH, KeySize: 4, ValueSize: 8, MaxEntries: 64})
	save := ins(mov, 6, 1, 0, 0)
	lookup := func(fd, key int) []insn {
		return join(zeroes(key), loadMap(fd), stack(2, key), []insn{helper(1), ins(jeq, 0, 0, 1, 0), ins(stw, 0, 0, 0, 5)})
	}
	const skb, device = unix.BPF_PROG_TYPE_CGROUP_SKB, unix.BPF_PROG_TYPE_CGROUP_DEVICE
	for _, c := range []struct {
		name         string
		kind, at     uint32
		instructions []insn
	}{
		{"nothing", skb, 0, end()},
		{"fields of a packet", skb, 0, join([]insn{
			save, ins(ldw, 7, 6, 16, 0), ins(ldw, 8, 6, 0, 0), ins(jeq, 7, 0, 3, 8), ins(ldw, 9, 6, 40, 0), ins(ldw, 2, 6, 40, 0),
			ins(jeq, 2, 0, 1, 0), ins(ldw, 6, 6, 32, 0),
		}, end())},
		{"parts of fields", skb, 0, join([]insn{save, ins(ldh, 2, 6, 16, 0), ins(ldb, 3, 6, 0, 0), ins(ldb, 4, 6, 1, 0)}, end())},
		{"a load and a mask", skb, 0, join([]insn{save, ins(ldw, 2, 6, 0, 0), ins(0x54, 2, 0, 0, 0xff)}, end())},
		{"stores", skb, 0, join([]insn{save, number(2, 7), ins(stxw, 6, 2, 8, 0), ins(stxw, 6, 2, 48, 0)}, end())},
		{"a context that was put away", skb, 0, join([]insn{ins(stxdw, 10, 1, -16, 0), ins(movi, 1, 0, 0, 0), ins(lddw, 3, 10, -16, 0), ins(ldw, 2, 3, 40, 0)}, end())},
		{"packet data", skb, 0, join([]insn{save, ins(ldw, 2, 6, 76, 0), ins(ldw, 3, 6, 80, 0), ins(mov, 4, 2, 0, 0), ins(addi, 4, 0, 0, 1), ins(0x2d, 4, 3, 1, 0), ins(ldb, 5, 2, 0, 0)}, end())},
		{"two arrays", skb, 0, join(lookup(array, 4), lookup(wide, 4), end())},
		{"a hash and a trie", skb, 0, join(lookup(hash, 4), lookup(trie, 8), end())},
		{"an array for each CPU and one that forgets", skb, 0, join(lookup(perCPU, 4), lookup(lru, 4), end())},
		{"changes of a map", skb, 0, join(zeroes(24), loadMap(hash), stack(2, 8), stack(3, 24), []insn{number(4, 0), helper(2)}, loadMap(hash), stack(2, 8), []insn{helper(3)}, end())},
		{"what is inside a map", skb, 0, join([]insn{{Code: loadImmediate64, Registers: 1 | pseudoMapValue<<4, Immediate: int32(single)}, {Immediate: 8}, ins(stw, 1, 0, 0, 3)}, end())},
		{"bytes of a packet", skb, 1, join([]insn{save}, zeroes(8), []insn{ins(mov, 1, 6, 0, 0), number(2, 16)}, stack(3, 8), []insn{number(4, 4), helper(26)}, end())},
		{"a filter as systemd's, which only counts", skb, 0, join([]insn{
			save, ins(ldw, 7, 6, 16, 0), ins(0xb4, 8, 0, 0, 0),
			number(0, 1), ins(jne, 8, 0, 1, 2), number(0, 0), ins(jeq, 0, 0, 9, 0),
		}, []insn{number(0, 0), ins(stxw, 10, 0, -4, 0)}, stack(2, 4), loadMap(array), []insn{helper(1), ins(jeq, 0, 0, 1, 0), number(1, 1)}, end())},
		{"a device", device, 0, join([]insn{ins(ldw, 2, 1, 0, 0), ins(0x54, 2, 0, 0, 0xffff), ins(ldw, 3, 1, 0, 0), ins(0x74, 3, 0, 0, 16), ins(ldw, 4, 1, 4, 0), ins(ldw, 5, 1, 8, 0), ins(jne, 4, 0, 2, 1)}, end(), []insn{number(0, 0), ins(exit, 0, 0, 0, 0)})},
		{"half of a field of a device", device, 0, join([]insn{ins(ldh, 2, 1, 0, 0), ins(ldw, 4, 1, 4, 0)}, end())},
		{"a socket filter", unix.BPF_PROG_TYPE_SOCKET_FILTER, 0, join([]insn{save, ins(ldw, 7, 6, 16, 0)}, end())},
		{"a sysctl", unix.BPF_PROG_TYPE_CGROUP_SYSCTL, 0, join([]insn{save, ins(ldw, 7, 6, 0, 0)}, zeroes(32), []insn{ins(mov, 1, 6, 0, 0)}, stack(2, 32), []insn{number(3, 32), number(4, 0), helper(101)}, end())},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &sys.BPFProgram{Type: c.kind, AttachType: c.at, GPL: true, Name: [16]byte{'t', 'e', 's', 't'}, Instructions: c.instructions}
			fd, err := sys.BPFLoad(p)
			if err != nil {
				t.Fatalf("load: %v", err)
			}
			defer unix.Close(fd)
			l := New(&view.IDs{})
			m, err := l.Program(fd)
			if err != nil {
				t.Fatal(err)
			}
			for _, ref := range m.Maps {
				if l.Maps[0].Id > ref.Map {
					t.Errorf("it refers to map %d", ref.Map)
				}
			}
			want := slices.Clone(c.instructions)
			for i := range want {
				if s := source(want[i]); want[i].Code == loadImmediate64 && (s == pseudoMap || s == pseudoMapValue) {
					want[i].Immediate = 0
				}
			}
			got := make([]insn, len(m.Instructions)/8)
			copy(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(got))), len(m.Instructions)), m.Instructions)
			if !slices.Equal(got, want) {
				t.Errorf("got  %v\nwant %v", got, want)
			}
			if again, err := l.Program(fd); again != m || err != nil || m.Name != "test" || !m.Gpl {
				t.Errorf("looked at once more: %v, %v", again, err)
			}
		})
	}
}

// TestProgramsRefused: what can't be known is refused by name.
func TestProgramsRefused(t *testing.T) {
	need.Check(t, need.Root)
	for _, c := range []struct {
		name         string
		kind, at     uint32
		instructions []insn
		want         string
	}{
		{"another type", unix.BPF_PROG_TYPE_SCHED_CLS, 0, end(), "type 3"},
		{"attached to nothing", unix.BPF_PROG_TYPE_CGROUP_SOCK, unix.BPF_CGROUP_INET_SOCK_CREATE, end(), "(cgroup_sock)"},
		{"what never runs", unix.BPF_PROG_TYPE_CGROUP_DEVICE, 0, join([]insn{number(3, 1), ins(jeq, 3, 0, 1, 1), number(3, 2)}, end()), "(cgroup_device)"},
		{"two functions", unix.BPF_PROG_TYPE_CGROUP_DEVICE, 0, join([]insn{ins(call, 0, 1, 0, 2)}, end(), end()), "(cgroup_device)"},
	} {
		fd, err := sys.BPFLoad(&sys.BPFProgram{Type: c.kind, AttachType: c.at, GPL: true, Instructions: c.instructions})
		if err != nil {
			t.Errorf("%s: load: %v", c.name, err)
			continue
		}
		_, err = New(&view.IDs{}).Program(fd)
		unix.Close(fd)
		var r *refusal.Refusal
		if !errors.As(err, &r) || !bytes.Contains([]byte(r.Kind), []byte(c.want)) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestMaps: what is in a map, and what can't be.
func TestMaps(t *testing.T) {
	fd := newMap(t, &sys.BPFMap{Type: unix.BPF_MAP_TYPE_HASH, KeySize: 4, ValueSize: 8, MaxEntries: 50_000, Flags: unix.BPF_F_NO_PREALLOC})
	const n = 20_000
	for i := range n {
		key := []byte{byte(i), byte(i >> 8), 0, 0}
		if err := sys.BPFMapUpdate(fd, key, append(key, key...)); err != nil {
			t.Fatal(err)
		}
	}
	m, err := New(&view.IDs{}).Map(fd)
	if err != nil {
		t.Fatal(err)
	}
	each := &format.BpfMap{KeySize: 4, ValueSize: 8, MaxEntries: 50_000}
	if err := readEach(fd, each, 8, maxBytes); err != nil {
		t.Fatal(err)
	}
	for _, m := range []*format.BpfMap{m, each} {
		seen := map[[4]byte]bool{}
		for i := 0; i*4 < len(m.Keys); i++ {
			key := m.Keys[i*4:][:4]
			seen[[4]byte(key)] = true
			if !bytes.Equal(m.Values[i*8:][:8], append(slices.Clone(key), key...)) {
				t.Fatalf("element %x is %x", key, m.Values[i*8:][:8])
			}
		}
		if len(seen) != n {
			t.Errorf("%d elements of %d", len(seen), n)
		}
	}
	l := New(&view.IDs{})
	l.bytes = maxBytes - 100
	queue := newMap(t, &sys.BPFMap{Type: unix.BPF_MAP_TYPE_QUEUE, ValueSize: 8, MaxEntries: 5})
	for what, fd := range map[string]int{"too large": fd, "a queue": queue} {
		var r *refusal.Refusal
		if _, err := l.Map(fd); !errors.As(err, &r) || r.Remedy == "" {
			t.Errorf("%s: %v", what, err)
		}
	}
}
