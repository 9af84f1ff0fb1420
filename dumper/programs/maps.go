package programs

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/internal/sys"
)

// maxBytes is how much content all maps of a container may have: it is kept in
// memory until it is written.
const maxBytes = 16 << 20

// mapKinds are the types whose elements are plain data (enum bpf_map_type).
var mapKinds = map[uint32]struct {
	name          string
	array, perCPU bool
}{
	unix.BPF_MAP_TYPE_HASH:            {"hash", false, false},
	unix.BPF_MAP_TYPE_ARRAY:           {"array", true, false},
	unix.BPF_MAP_TYPE_PERCPU_HASH:     {"percpu_hash", false, true},
	unix.BPF_MAP_TYPE_PERCPU_ARRAY:    {"percpu_array", true, true},
	unix.BPF_MAP_TYPE_LRU_HASH:        {"lru_hash", false, false},
	unix.BPF_MAP_TYPE_LRU_PERCPU_HASH: {"lru_percpu_hash", false, true},
	unix.BPF_MAP_TYPE_LPM_TRIE:        {"lpm_trie", false, false},
}

// mapFlags are those that say all of what they mean by themselves. The node of
// BPF_F_NUMA_NODE, for example, is in no structure that the kernel gives.
const mapFlags = unix.BPF_F_NO_PREALLOC | unix.BPF_F_NO_COMMON_LRU | unix.BPF_F_RDONLY_PROG | unix.BPF_F_WRONLY_PROG |
	unix.BPF_F_ZERO_SEED | unix.BPF_F_MMAPABLE | unix.BPF_F_PRESERVE_ELEMS

// Map looks at the map behind a descriptor of ours. An error that is a
// *refusal.Refusal says why it can't be taken.
func (l *Looker) Map(fd int) (*format.BpfMap, error) {
	var info sys.BPFMapInfo
	if err := sys.BPFInfo(fd, &info); err != nil {
		return nil, fmt.Errorf("ask what BPF map it is: %w", err)
	}
	known := l.maps[info.ID]
	if known == nil {
		known = &outcome[format.BpfMap]{}
		known.message, known.err = l.lookAtMap(&info)
		l.maps[info.ID] = known
		if known.err == nil {
			l.Maps = append(l.Maps, known.message)
		}
	}
	return known.message, known.err
}

func (l *Looker) lookAtMap(info *sys.BPFMapInfo) (*format.BpfMap, error) {
	kind, known := mapKinds[info.Type]
	name := fmt.Sprintf("BPF map %q of type %d", text(info.Name[:]), info.Type)
	if !known {
		return nil, obstacle(name, "this version restores maps whose elements are plain data (hash, array, lpm_trie, their kinds with a value for each CPU, and those that forget the least used) only", endHolder)
	}
	name = fmt.Sprintf("BPF map %q (%s)", text(info.Name[:]), kind.name)
	if unknown := info.Flags &^ mapFlags; unknown != 0 || info.IfIndex != 0 || info.Extra != 0 {
		return nil, obstacle(name, fmt.Sprintf("it was made with flags %#x, of which the kernel does not tell enough to make it again", info.Flags), endHolder)
	}
	m := &format.BpfMap{
		Type: info.Type, KeySize: info.KeySize, ValueSize: info.ValueSize, MaxEntries: info.MaxEntries,
		Flags: info.Flags, Name: text(info.Name[:]),
	}
	each := uint64(info.ValueSize)
	if kind.perCPU {
		cpus, err := procfs.PossibleCPUs()
		if err != nil {
			return nil, err
		}
		m.Cpus, each = uint32(cpus), (each+7)/8*8*uint64(cpus)
	}
	if kind.array && each*uint64(info.MaxEntries) > maxBytes {
		return nil, l.tooLarge(name)
	}
	// Not by the descriptor that we were given: its access may be restricted.
	fd, err := sys.BPFMaps.Open(info.ID, 0)
	if err != nil {
		return nil, fmt.Errorf("open BPF map %d: %w", info.ID, err)
	}
	defer unix.Close(fd)
	if m.Frozen, err = frozen(fd); err != nil {
		return nil, err
	}
	switch err := read(fd, m, int(each), maxBytes-l.bytes); {
	case errors.Is(err, errTooLarge):
		return nil, l.tooLarge(name)
	case err != nil:
		return nil, fmt.Errorf("read BPF map %d: %w", info.ID, err)
	}
	l.bytes += len(m.Keys) + len(m.Values)
	if kind.array {
		m.Keys = nil
	}
	m.Id = l.ids.Next()
	return m, nil
}

func (l *Looker) tooLarge(name string) error {
	return obstacle(name, fmt.Sprintf("the maps of the container have more than %d MiB in all", maxBytes>>20), endHolder)
}

// frozen asks whether system calls may not write the map.
func frozen(fd int) (bool, error) {
	i, err := procfs.ReadFDInfo(unix.Getpid(), fd)
	if err != nil {
		return false, err
	}
	value, _ := i.Get("frozen")
	return value == "1", nil
}

var errTooLarge = errors.New("too large")

// read reads all elements, of which each value has a size.
func read(fd int, m *format.BpfMap, value, most int) error {
	err := readBatches(fd, m, value, most)
	if err == nil || errors.Is(err, errTooLarge) {
		return err
	}
	// A type that has no batches (LPM tries before Linux 5.11 and others), or a
	// bucket of more elements than a batch has room for.
	return readEach(fd, m, value, most)
}

func readBatches(fd int, m *format.BpfMap, value, most int) error {
	const room = 256 << 10
	key := int(m.KeySize)
	count := max(room/(key+value), 64)
	keys, values := make([]byte, count*key), make([]byte, count*value)
	m.Keys, m.Values = nil, nil
	var from []byte
	to := make([]byte, max(key, 8))
	for {
		n, err := sys.BPFMapLookupBatch(fd, from, to, keys, values, uint32(count))
		if err != nil && err != unix.ENOENT {
			return err
		}
		m.Keys, m.Values = append(m.Keys, keys[:int(n)*key]...), append(m.Values, values[:int(n)*value]...)
		if len(m.Keys)+len(m.Values) > most {
			return errTooLarge
		}
		if err == unix.ENOENT {
			return nil
		}
		from = append(from[:0], to...)
	}
}

func readEach(fd int, m *format.BpfMap, value, most int) error {
	m.Keys, m.Values = nil, nil
	var last []byte
	next, one := make([]byte, m.KeySize), make([]byte, value)
	// A program may be changing it meanwhile: the walk begins anew when the last
	// key is gone.
	for n := uint64(0); n <= 2*uint64(m.MaxEntries); n++ {
		err := sys.BPFMapNextKey(fd, last, next)
		if err == unix.ENOENT {
			return nil
		}
		if err != nil {
			return err
		}
		last = append(last[:0], next...)
		if err := sys.BPFMapLookup(fd, last, one); err == unix.ENOENT {
			continue
		} else if err != nil {
			return err
		}
		m.Keys, m.Values = append(m.Keys, last...), append(m.Values, one...)
		if len(m.Keys)+len(m.Values) > most {
			return errTooLarge
		}
	}
	return errors.New("programs change it faster than it can be read")
}
