// Package iptables reads and loads the tables of the old iptables, ip6tables and
// arptables (not those of nf_tables), whole, as their own commands do: a table is
// one block of entries, whose matches and targets only the kernel knows.
package iptables

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"runtime"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/sys"
)

// Table is a table with its rules. Its fields are those of struct ipt_replace
// (include/uapi/linux/netfilter_ipv4/ip_tables.h) and its like.
type Table struct {
	Kind      string // "ip", "ip6", "arp"
	Name      string
	Hooks     uint32   // valid_hooks
	HookEntry []uint32 // places in Entries at which packets enter, of each hook
	Underflow []uint32 // and of its policy
	Rules     uint32   // num_entries
	Entries   []byte
}

// kind is how a kind of tables differs from the others.
type kind struct {
	name                       string
	family, level, base, hooks int
	// Places in an entry: of the distance to the next one, and of the counters; and
	// its size without matches and target.
	next, counters, size int
}

var kinds = []kind{
	{"ip", unix.AF_INET, unix.SOL_IP, 64, 5, 90, 96, 112},
	{"ip6", unix.AF_INET6, unix.SOL_IPV6, 64, 5, 142, 152, 168},
	{"arp", unix.AF_INET, unix.SOL_IP, 96, 3, 166, 176, 192},
}

// The options of a socket, from a kind's base on, and limits.
const (
	getInfo, getEntries   = 0, 1 // *_SO_GET_INFO, *_SO_GET_ENTRIES
	replace, addCounters  = 0, 1 // *_SO_SET_REPLACE, *_SO_SET_ADD_COUNTERS
	nameSize, counterSize = 32, 16
	maxEntries            = 16 << 20
	headerOfEntries       = 40 // struct ipt_get_entries, struct xt_counters_info
)

func kindOf(name string) (kind, bool) {
	for _, k := range kinds {
		if k.name == name {
			return k, true
		}
	}
	return kind{}, false
}

// List are the tables of the thread's network namespace that have rules, or a policy
// other than to accept. To ask makes no table: only those are asked for that are.
func List() ([]*Table, error) {
	var all []*Table
	for _, k := range kinds {
		names, err := os.ReadFile("/proc/thread-self/net/" + k.name + "_tables_names")
		if errors.Is(err, os.ErrNotExist) || err == nil && len(names) == 0 {
			continue
		}
		if err != nil {
			return nil, err
		}
		fd, err := k.open()
		if err != nil {
			return nil, err
		}
		for name := range strings.FieldsSeq(string(names)) {
			t, err := k.read(fd, name)
			if err != nil {
				unix.Close(fd)
				return nil, fmt.Errorf("read table %s of %stables: %w", name, k.name, err)
			}
			if !k.isEmpty(t) {
				all = append(all, t)
			}
		}
		unix.Close(fd)
	}
	return all, nil
}

func (k kind) open() (int, error) {
	fd, err := unix.Socket(k.family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	return fd, os.NewSyscallError("socket", err)
}

// info is struct ipt_getinfo.
func (k kind) info(fd int, name string) ([]uint32, error) {
	b := make([]byte, nameSize+4*(1+2*k.hooks+2))
	copy(b[:nameSize-1], name)
	if _, err := sys.GetsockoptInOut(fd, k.level, k.base+getInfo, b); err != nil {
		return nil, err
	}
	var words []uint32
	for at := nameSize; at < len(b); at += 4 {
		words = append(words, binary.NativeEndian.Uint32(b[at:]))
	}
	return words, nil
}

func (k kind) read(fd int, name string) (*Table, error) {
	info, err := k.info(fd, name)
	if err != nil {
		return nil, err
	}
	size := info[len(info)-1]
	if size > maxEntries {
		return nil, fmt.Errorf("it has %d bytes of rules, and this version can save %d", size, maxEntries)
	}
	b := make([]byte, headerOfEntries+size)
	copy(b[:nameSize-1], name)
	binary.NativeEndian.PutUint32(b[nameSize:], size)
	if _, err := sys.GetsockoptInOut(fd, k.level, k.base+getEntries, b); err != nil {
		return nil, err
	}
	return &Table{
		Kind: k.name, Name: name, Hooks: info[0], HookEntry: info[1 : 1+k.hooks], Underflow: info[1+k.hooks : 1+2*k.hooks],
		Rules: info[1+2*k.hooks], Entries: b[headerOfEntries:],
	}, nil
}

// each walks through the entries of a table.
func (k kind) each(t *Table, do func(entry []byte)) error {
	for rest := t.Entries; len(rest) > 0; {
		if len(rest) < k.size {
			return errors.New("an entry that is cut off")
		}
		next := int(binary.NativeEndian.Uint16(rest[k.next:]))
		if next < k.size || next > len(rest) {
			return errors.New("an entry of a size that can't be")
		}
		do(rest[:next])
		rest = rest[next:]
	}
	return nil
}

// isEmpty tells a table that has nothing but the policy to accept, as a new one.
func (k kind) isEmpty(t *Table) bool {
	const verdictAt, accept = 32, 0xffff_fffe // struct xt_standard_target; -NF_ACCEPT - 1
	if int(t.Rules) != bits.OnesCount32(t.Hooks)+1 {
		return false
	}
	n, accepted := 0, 0
	err := k.each(t, func(entry []byte) {
		if n++; len(entry) >= k.size+verdictAt+4 && binary.NativeEndian.Uint32(entry[k.size+verdictAt:]) == accept {
			accepted++
		}
	})
	return err == nil && accepted == n-1 // the last one ends the table
}

// Check says whether a table of an image is one that List could have read. What is in
// its entries, the kernel checks.
func (t *Table) Check() error {
	k, ok := kindOf(t.Kind)
	if !ok || t.Name == "" || len(t.Name) >= nameSize || strings.ContainsRune(t.Name, 0) {
		return fmt.Errorf("a table %.40q of %.10qtables", t.Name, t.Kind)
	}
	if len(t.HookEntry) != k.hooks || len(t.Underflow) != k.hooks || len(t.Entries) > maxEntries {
		return fmt.Errorf("a table %s of %stables that is none", t.Name, t.Kind)
	}
	n := uint32(0)
	if err := k.each(t, func([]byte) { n++ }); err != nil {
		return fmt.Errorf("a table %s of %stables with %w", t.Name, t.Kind, err)
	}
	if n != t.Rules || n == 0 {
		return fmt.Errorf("a table %s of %stables with %d entries instead of %d", t.Name, t.Kind, n, t.Rules)
	}
	return nil
}

// Load makes a table what it was, in the thread's network namespace.
func (t *Table) Load() error {
	k, ok := kindOf(t.Kind)
	if !ok {
		return fmt.Errorf("there are no %stables", t.Kind)
	}
	fd, err := k.open()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	now, err := k.info(fd, t.Name) // which makes it
	if err != nil {
		return fmt.Errorf("this kernel lacks it (modprobe %stable_%s; CONFIG_IP_NF_IPTABLES_LEGACY): %w", t.Kind, t.Name, err)
	}
	ne := binary.NativeEndian
	words := append([]uint32{t.Hooks, t.Rules, uint32(len(t.Entries))}, append(append([]uint32(nil), t.HookEntry...), t.Underflow...)...)
	old := now[1+2*k.hooks]
	b := make([]byte, nameSize)
	copy(b, t.Name)
	for _, w := range append(words, old) {
		b = ne.AppendUint32(b, w)
	}
	// The kernel writes the counters of the old rules there.
	counters := make([]byte, counterSize*max(1, int(old)))
	b = ne.AppendUint64(b, uint64(uintptr(unsafe.Pointer(&counters[0]))))
	err = unix.SetsockoptString(fd, k.level, k.base+replace, string(append(b, t.Entries...)))
	runtime.KeepAlive(counters)
	if err != nil {
		return fmt.Errorf("load its rules: %w", err)
	}
	b = make([]byte, headerOfEntries)
	copy(b, t.Name)
	ne.PutUint32(b[nameSize:], t.Rules)
	if err := k.each(t, func(entry []byte) { b = append(b, entry[k.counters:k.counters+counterSize]...) }); err != nil {
		return err
	}
	if err := unix.SetsockoptString(fd, k.level, k.base+addCounters, string(b)); err != nil {
		return fmt.Errorf("set its counters: %w", err)
	}
	return nil
}
