package fds

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/internal/sys"
)

// bpfObject is a map or a program that is made again.
type bpfObject struct {
	fd int
	id uint32 // the kernel's number of the new one
}

// makeBPFMap makes an open file of a map that is there, or is made now. Each has
// its own right to read and write it.
func makeBPFMap(_ context.Context, r *Restart, f *file) (int, error) {
	m, err := r.bpfMap(f.GetBpfMap().GetObject())
	if err != nil {
		return -1, err
	}
	flags := map[uint32]uint32{unix.O_RDONLY: unix.BPF_F_RDONLY, unix.O_WRONLY: unix.BPF_F_WRONLY}[f.Flags&unix.O_ACCMODE]
	fd, err := sys.BPFMaps.Open(m.id, flags)
	if err != nil {
		return -1, fmt.Errorf("open the new BPF map: %w", err)
	}
	return fd, nil
}

func makeBPFProgram(_ context.Context, r *Restart, f *file) (int, error) {
	p, err := r.bpfProgram(f.GetBpfProgram().GetObject())
	if err != nil {
		return -1, err
	}
	fd, err := sys.BPFPrograms.Open(p.id, 0)
	if err != nil {
		return -1, fmt.Errorf("open the new BPF program: %w", err)
	}
	return fd, nil
}

func (r *Restart) bpfMap(id uint32) (*bpfObject, error) {
	if o := r.bpf[id]; o != nil {
		return o, nil
	}
	m := r.skeleton.BpfMap(id)
	if m == nil {
		return nil, fmt.Errorf("the image has no BPF map %d", id)
	}
	fd, err := createBPFMap(m)
	if err != nil {
		return nil, fmt.Errorf("BPF map %q: %w", m.Name, err)
	}
	var info sys.BPFMapInfo
	return r.keepBPF(id, fd, func() (uint32, error) { err := sys.BPFInfo(fd, &info); return info.ID, err })
}

// keepBPF keeps the descriptor of a new object.
func (r *Restart) keepBPF(id uint32, fd int, number func() (uint32, error)) (*bpfObject, error) {
	n, err := number()
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("ask for the number of a new BPF object: %w", err)
	}
	o := &bpfObject{fd, n}
	r.bpf[id] = o
	return o, nil
}

// createBPFMap makes a map with its content.
func createBPFMap(m *format.BpfMap) (fd int, err error) {
	if m.Cpus != 0 {
		cpus, err := procfs.PossibleCPUs()
		if err != nil {
			return -1, err
		}
		if uint32(cpus) != m.Cpus {
			return -1, fmt.Errorf("it has a value for each of %d CPUs, and this kernel has %d: restart it on a host with as many (/sys/devices/system/cpu/possible)", m.Cpus, cpus)
		}
	}
	made := &sys.BPFMap{Type: m.Type, KeySize: m.KeySize, ValueSize: m.ValueSize, MaxEntries: m.MaxEntries, Flags: m.Flags, Name: bpfName(m.Name)}
	if fd, err = sys.BPFMapCreate(made); err != nil {
		return -1, fmt.Errorf("make it (needs CAP_BPF or CAP_SYS_ADMIN): %w", err)
	}
	defer func() {
		if err != nil {
			closeFD(&fd)
		}
	}()
	key, value := int(m.KeySize), m.ValueBytes()
	index := make([]byte, 4)
	for n := 0; (n+1)*value <= len(m.Values); n++ {
		one := m.Values[n*value:][:value]
		if m.IsArray() {
			if !slices.ContainsFunc(one, func(b byte) bool { return b != 0 }) {
				continue
			}
			*(*uint32)(unsafe.Pointer(unsafe.SliceData(index))) = uint32(n)
		} else {
			index = m.Keys[n*key:][:key]
		}
		if err := sys.BPFMapUpdate(fd, index, one); err != nil {
			return fd, fmt.Errorf("set its element %d: %w", n, err)
		}
	}
	if m.Frozen {
		if err := sys.BPFMapFreeze(fd); err != nil {
			return fd, fmt.Errorf("freeze it: %w", err)
		}
	}
	return fd, nil
}

func bpfName(s string) (name [sys.BPFNameLength]byte) {
	copy(name[:], s)
	return name
}

// bpfProgram loads a program, and its maps before that.
func (r *Restart) bpfProgram(id uint32) (*bpfObject, error) {
	if o := r.bpf[id]; o != nil {
		return o, nil
	}
	m := r.skeleton.BpfProgram(id)
	if m == nil {
		return nil, fmt.Errorf("the image has no BPF program %d", id)
	}
	p := &sys.BPFProgram{
		Type: m.Type, GPL: m.Gpl, AttachType: m.AttachType, Name: bpfName(m.Name),
		Instructions: make([]sys.BPFInstruction, len(m.Instructions)/8),
	}
	copy(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(p.Instructions))), 8*len(p.Instructions)), m.Instructions)
	for _, ref := range m.Maps {
		o, err := r.bpfMap(ref.Map)
		if err != nil {
			return nil, err
		}
		p.Instructions[ref.Instruction].Immediate = int32(o.fd)
	}
	fd, err := sys.BPFLoad(p)
	if err != nil {
		return nil, fmt.Errorf("load BPF program %q (needs CAP_BPF and CAP_NET_ADMIN, or CAP_SYS_ADMIN): %w", m.Name, err)
	}
	var info sys.BPFProgramInfo
	o, err := r.keepBPF(id, fd, func() (uint32, error) { err := sys.BPFInfo(fd, &info); return info.ID, err })
	if err == nil && string(info.Tag[:]) != string(m.Tag) {
		r.log.Info("BPF program has another tag on this kernel", "program", m.Name, "tag", fmt.Sprintf("%x", info.Tag), "was", fmt.Sprintf("%x", m.Tag))
	}
	return o, err
}

// AttachPrograms attaches to a cgroup what was attached there, but for what
// already is, as LXC's own: directory finds, or makes, a cgroup of the container.
func (r *Restart) AttachPrograms(directory func(path string) (string, error)) error {
	// Those above first: they say whether programs may be attached below.
	list := slices.Clone(r.skeleton.BpfAttachments)
	slices.SortStableFunc(list, func(a, b *format.BpfAttachment) int { return len(a.Cgroup) - len(b.Cgroup) })
	for _, a := range list {
		dir, err := directory(a.Cgroup)
		if err == nil {
			err = r.attach(dir, a)
		}
		if err != nil {
			return fmt.Errorf("attach BPF programs to cgroup %s: %w", a.Cgroup, err)
		}
	}
	return nil
}

func (r *Restart) attach(dir string, a *format.BpfAttachment) error {
	cgroup, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(cgroup)
	there, err := attachedPrograms(cgroup, a.Type)
	if err != nil {
		return err
	}
	for _, id := range a.Programs {
		p, err := r.bpfProgram(id)
		if err != nil {
			return err
		}
		var info sys.BPFProgramInfo
		if err := sys.BPFInfo(p.fd, &info); err != nil {
			return err
		}
		if same := there[info.Tag]; len(same) > 0 {
			there[info.Tag] = same[1:]
			if !r.isHeld(id) {
				continue
			}
			// The container's cgroup has outlived it. Who holds the program must
			// be able to detach it.
			if err := detach(cgroup, same[0], a.Type); err != nil {
				return err
			}
		}
		if err := sys.BPFAttach(cgroup, p.fd, a.Type, a.Flags); err != nil {
			return fmt.Errorf("program %q: %w", r.skeleton.BpfProgram(id).GetName(), err)
		}
		r.attached = append(r.attached, bpfAttached{dir, p.id, a.Type})
	}
	return nil
}

// isHeld says that somebody has a descriptor of a program, or of its maps.
func (r *Restart) isHeld(id uint32) bool {
	if len(r.skeleton.BpfProgram(id).GetMaps()) > 0 {
		return true
	}
	return slices.ContainsFunc(r.files, func(f *file) bool { return f.GetBpfProgram().GetObject() == id })
}

// bpfAttached is what the restart has attached.
type bpfAttached struct {
	dir     string
	program uint32 // the kernel's number
	point   uint32
}

// DetachPrograms undoes AttachPrograms.
func (r *Restart) DetachPrograms() {
	for _, a := range slices.Backward(r.attached) {
		cgroup, err := unix.Open(a.dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			continue // the cgroup is gone, and with it what was attached
		}
		if err := detach(cgroup, a.program, a.point); err != nil {
			r.log.Warn("a BPF program is left attached", "cgroup", a.dir, "why", err)
		}
		unix.Close(cgroup)
	}
	r.attached = nil
}

func detach(cgroup int, program, point uint32) error {
	fd, err := sys.BPFPrograms.Open(program, 0)
	if err != nil {
		return fmt.Errorf("open BPF program %d: %w", program, err)
	}
	defer unix.Close(fd)
	if err := sys.BPFDetach(cgroup, fd, point); err != nil {
		return fmt.Errorf("detach BPF program %d: %w", program, err)
	}
	return nil
}

// attachedPrograms are the kernel's numbers of the programs that are attached at
// a point of a cgroup, by their tags.
func attachedPrograms(cgroup int, point uint32) (map[[8]byte][]uint32, error) {
	var ids [format.MaxAttached]uint32
	n, _, err := sys.BPFQuery(cgroup, point, ids[:])
	if err != nil {
		return nil, fmt.Errorf("ask what is attached already: %w", err)
	}
	tags := map[[8]byte][]uint32{}
	for _, id := range ids[:n] {
		var info sys.BPFProgramInfo
		fd, err := sys.BPFPrograms.Open(id, 0)
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("open BPF program %d: %w", id, err)
		}
		err = sys.BPFInfo(fd, &info)
		unix.Close(fd)
		if err != nil {
			return nil, err
		}
		tags[info.Tag] = append(tags[info.Tag], id)
	}
	return tags, nil
}

func (r *Restart) closeBPF() {
	for _, o := range r.bpf {
		unix.Close(o.fd)
	}
	clear(r.bpf)
}
