// Package programs reads BPF maps and programs back from the kernel: those that
// processes hold by descriptor, and those that are attached to cgroups.
//
// Of a program the kernel gives back only what its verifier has made of it. The
// instructions that were loaded are worked out from that (undo.go), with rules
// that come from the kernel itself: small programs are loaded, and what becomes
// of them is read back (probe.go). What comes out is loaded once more and must
// get the same tag, which is a digest of the instructions: so a checkpoint knows
// that a restart on this kernel gets the very same program.
package programs

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/dumper/view"
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"
	"lxc-checkpoint/refusal"
)

// Looker looks at maps and programs, at each once.
type Looker struct {
	Maps        []*format.BpfMap
	Programs    []*format.BpfProgram
	Attachments []*format.BpfAttachment

	ids      *view.IDs
	maps     map[uint32]*outcome[format.BpfMap] // by the kernel's number, as all here
	programs map[uint32]*outcome[format.BpfProgram]
	attached map[uint32]uint32 // where a program is attached: enum bpf_attach_type
	bytes    int               // of all maps
	probes   probes
}

type outcome[T any] struct {
	message *T
	err     error
}

// New prepares to look.
func New(ids *view.IDs) *Looker {
	return &Looker{
		ids: ids, maps: map[uint32]*outcome[format.BpfMap]{}, programs: map[uint32]*outcome[format.BpfProgram]{},
		attached: map[uint32]uint32{}, probes: newProbes(),
	}
}

// obstacle is why an object can't be taken; whose it is, the caller knows.
func obstacle(kind, reason, remedy string) error {
	return &refusal.Refusal{Kind: kind, Reason: reason, Remedy: remedy}
}

const endHolder = "end the program that holds it, or have it close it, before the checkpoint"

// programKinds are the types of programs that come back: what they see has no
// part that only the kernel knows (enum bpf_prog_type, include/uapi/linux/bpf.h).
// Each has the points that it can have been loaded for; none if the kernel does
// not ask (bpf_prog_load_check_attach, kernel/bpf/syscall.c).
var programKinds = map[uint32]struct {
	name   string
	points []uint32
}{
	unix.BPF_PROG_TYPE_SOCKET_FILTER:    {"socket filter", nil},
	unix.BPF_PROG_TYPE_CGROUP_SKB:       {"cgroup_skb", []uint32{unix.BPF_CGROUP_INET_INGRESS, unix.BPF_CGROUP_INET_EGRESS}},
	unix.BPF_PROG_TYPE_CGROUP_DEVICE:    {"cgroup_device", nil},
	unix.BPF_PROG_TYPE_CGROUP_SYSCTL:    {"cgroup_sysctl", nil},
	unix.BPF_PROG_TYPE_CGROUP_SOCK:      {"cgroup_sock", []uint32{unix.BPF_CGROUP_INET_SOCK_CREATE, unix.BPF_CGROUP_INET4_POST_BIND, unix.BPF_CGROUP_INET6_POST_BIND, unix.BPF_CGROUP_INET_SOCK_RELEASE}},
	unix.BPF_PROG_TYPE_CGROUP_SOCK_ADDR: {"cgroup_sock_addr", []uint32{unix.BPF_CGROUP_INET4_BIND, unix.BPF_CGROUP_INET6_BIND, unix.BPF_CGROUP_INET4_CONNECT, unix.BPF_CGROUP_INET6_CONNECT, unix.BPF_CGROUP_UDP4_SENDMSG, unix.BPF_CGROUP_UDP6_SENDMSG, unix.BPF_CGROUP_UDP4_RECVMSG, unix.BPF_CGROUP_UDP6_RECVMSG, unix.BPF_CGROUP_INET4_GETPEERNAME, unix.BPF_CGROUP_INET6_GETPEERNAME, unix.BPF_CGROUP_INET4_GETSOCKNAME, unix.BPF_CGROUP_INET6_GETSOCKNAME}},
	unix.BPF_PROG_TYPE_CGROUP_SOCKOPT:   {"cgroup_sockopt", []uint32{unix.BPF_CGROUP_GETSOCKOPT, unix.BPF_CGROUP_SETSOCKOPT}},
}

// Program looks at the program behind a descriptor of ours. An error that is a
// *refusal.Refusal says why it can't be taken.
func (l *Looker) Program(fd int) (*format.BpfProgram, error) {
	var info sys.BPFProgramInfo
	if err := sys.BPFInfo(fd, &info); err != nil {
		return nil, fmt.Errorf("ask what BPF program it is: %w", err)
	}
	known := l.programs[info.ID]
	if known == nil {
		known = &outcome[format.BpfProgram]{}
		known.message, known.err = l.lookAtProgram(fd, &info)
		l.programs[info.ID] = known
		if known.err == nil {
			l.Programs = append(l.Programs, known.message)
		}
	}
	return known.message, known.err
}

func (l *Looker) lookAtProgram(fd int, info *sys.BPFProgramInfo) (*format.BpfProgram, error) {
	kind, known := programKinds[info.Type]
	name := fmt.Sprintf("BPF program %q of type %d", text(info.Name[:]), info.Type)
	if !known {
		return nil, obstacle(name, "this version restores socket filters and programs for cgroups (cgroup_skb, cgroup_device, cgroup_sock, cgroup_sock_addr, cgroup_sockopt, cgroup_sysctl) only", endHolder)
	}
	name = fmt.Sprintf("BPF program %q (%s)", text(info.Name[:]), kind.name)
	if info.IfIndex != 0 {
		return nil, obstacle(name, "it is bound to a network card", endHolder)
	}
	have, err := readBack(fd, info)
	if errors.Is(err, errBlinded) {
		reason, remedy := hidden(err)
		return nil, obstacle(name, reason, remedy)
	}
	if err != nil {
		return nil, err
	}
	maps, err := l.mapsOf(name, have.maps)
	if err != nil {
		return nil, err
	}
	defer maps.close()
	points := []uint32{0}
	if at, is := l.attached[info.ID]; is && kind.points != nil {
		points = []uint32{at}
	} else if kind.points != nil {
		points = kind.points
		if info.Type != unix.BPF_PROG_TYPE_CGROUP_SKB {
			return nil, obstacle(name, "it is attached to no cgroup of the container, and the kernel does not tell for which point it was loaded", endHolder)
		}
	}
	var first error
	for _, at := range points {
		for g := range guesses {
			p := &sys.BPFProgram{Type: info.Type, GPL: info.GPL&1 != 0, AttachType: at, Name: info.Name}
			refs, err := l.attempt(p, have, maps, info, g)
			if err == nil {
				return l.message(p, refs, info, maps), nil
			}
			first = cmp.Or(first, err)
		}
	}
	reason, remedy := hidden(first)
	return nil, obstacle(name, reason, remedy)
}

// attempt fills in the instructions of p, if they can be proved.
func (l *Looker) attempt(p *sys.BPFProgram, have *xlated, maps *mapSet, info *sys.BPFProgramInfo, g guess) ([]reference, error) {
	found, refs, err := l.probes.undo(p, have, maps, g)
	if err != nil {
		return nil, err
	}
	for p.Instructions, refs = range variants(found, refs) {
		e := proof(p, refs, have, maps, info)
		if e == nil {
			return refs, nil
		}
		err = cmp.Or(err, e)
	}
	return nil, err
}

func (l *Looker) message(p *sys.BPFProgram, refs []reference, info *sys.BPFProgramInfo, maps *mapSet) *format.BpfProgram {
	m := &format.BpfProgram{
		Id: l.ids.Next(), Type: p.Type, AttachType: p.AttachType, Name: text(p.Name[:]), Gpl: p.GPL,
		Instructions: asBytes(p.Instructions), Tag: slices.Clone(info.Tag[:]),
	}
	for _, r := range refs {
		m.Maps = append(m.Maps, &format.BpfReference{Instruction: uint32(r.at), Map: maps.messages[r.id].Id})
	}
	return m
}

// readBack is what the kernel gives back of a program.
func readBack(fd int, info *sys.BPFProgramInfo) (*xlated, error) {
	x := &xlated{instructions: make([]sys.BPFInstruction, info.XlatedLength/8), maps: make([]uint32, info.MapCount)}
	again := sys.BPFProgramInfo{
		XlatedLength: info.XlatedLength, Xlated: unsafe.Pointer(unsafe.SliceData(x.instructions)),
		MapCount: info.MapCount, Maps: unsafe.Pointer(unsafe.SliceData(x.maps)),
	}
	if err := sys.BPFInfo(fd, &again); err != nil {
		return nil, fmt.Errorf("read a BPF program back: %w", err)
	}
	if again.Xlated == nil {
		return nil, errBlinded
	}
	return x, nil
}

// proof loads the program as a restart will, and compares what the kernel makes
// of both.
func proof(p *sys.BPFProgram, refs []reference, have *xlated, maps *mapSet, info *sys.BPFProgramInfo) error {
	load := *p
	load.Instructions = slices.Clone(p.Instructions)
	for _, r := range refs {
		load.Instructions[r.at].Immediate = int32(maps.fds[r.id])
	}
	fd, err := sys.BPFLoad(&load)
	if err != nil {
		return fmt.Errorf("the kernel does not load it again: %w", err)
	}
	defer unix.Close(fd)
	var now sys.BPFProgramInfo
	if err := sys.BPFInfo(fd, &now); err != nil {
		return err
	}
	if now.Tag != info.Tag {
		return fmt.Errorf("loaded again it has the tag %x and not %x", now.Tag, info.Tag)
	}
	again, err := readBack(fd, &now)
	if err != nil {
		return err
	}
	if !slices.Equal(again.instructions, have.instructions) {
		return errors.New("loaded again it is another program")
	}
	return nil
}

// mapSet are the maps of a program, by the kernel's number, as descriptors of
// ours.
type mapSet struct {
	messages map[uint32]*format.BpfMap
	fds      map[uint32]int
	infos    map[uint32]*sys.BPFMapInfo
}

func (s *mapSet) close() {
	for _, fd := range s.fds {
		unix.Close(fd)
	}
}

func (l *Looker) mapsOf(name string, ids []uint32) (*mapSet, error) {
	s := &mapSet{map[uint32]*format.BpfMap{}, map[uint32]int{}, map[uint32]*sys.BPFMapInfo{}}
	for _, id := range ids {
		fd, err := sys.BPFMaps.Open(id, 0)
		if err != nil {
			s.close()
			return nil, fmt.Errorf("open map %d of a BPF program: %w", id, err)
		}
		s.fds[id], s.infos[id] = fd, new(sys.BPFMapInfo)
		if err = sys.BPFInfo(fd, s.infos[id]); err == nil {
			s.messages[id], err = l.Map(fd)
		}
		if err != nil {
			s.close()
			var r *refusal.Refusal
			if errors.As(err, &r) {
				err = obstacle(name, fmt.Sprintf("it uses a %s: %s", r.Kind, r.Reason), endHolder)
			}
			return nil, err
		}
	}
	return s, nil
}

// text is a name with NUL bytes at its end.
func text(b []byte) string {
	name, _, _ := strings.Cut(string(b), "\x00")
	return name
}

func asBytes(list []sys.BPFInstruction) []byte {
	return slices.Clone(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(list))), 8*len(list)))
}
