package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"lxc-checkpoint/dumper/view"
)

// Memory reads the kernel's memory, for objects that no file tells enough of:
// a program that copies some bytes into a map which we have mapped, run by hand
// for each read. A bad address is an error, never a fault.
type Memory struct {
	window  *ebpf.Map
	program *ebpf.Program
	mapped  []byte
	spec    *btf.Spec
	members map[[2]string]uint32
	perCPU  perCPU
}

// The window: what to read and how much, how that went, then the bytes.
const (
	windowAddress = 0  // 8
	windowLength  = 8  // 4
	windowResult  = 16 // 8
	windowBytes   = 24
	windowMost    = 4096
	windowSize    = windowBytes + windowMost
)

// OpenMemory loads the program.
func OpenMemory() (m *Memory, err error) {
	m = &Memory{members: map[[2]string]uint32{}}
	defer func() {
		if err != nil {
			m.Close()
			m = nil
		}
	}()
	if m.spec, err = btf.LoadKernelSpec(); err != nil {
		return m, fmt.Errorf("read the kernel's BTF: %w", err)
	}
	if m.window, err = ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: windowSize, MaxEntries: 1, Flags: unix.BPF_F_MMAPABLE}); err != nil {
		return m, fmt.Errorf("make a map: %w", err)
	}
	if m.program, err = ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "lxc_checkpoint", Type: ebpf.RawTracepoint, Instructions: assembleRead(m.window), License: "GPL",
	}); err != nil {
		return m, fmt.Errorf("load the program: %w", err)
	}
	if m.mapped, err = unix.Mmap(m.window.FD(), 0, windowSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return m, fmt.Errorf("map its map: %w", err)
	}
	return m, nil
}

func assembleRead(window *ebpf.Map) asm.Instructions {
	return asm.Instructions{
		asm.StoreImm(asm.RFP, -4, 0, asm.Word),
		asm.LoadMapPtr(asm.R1, window.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -4),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "end"),
		asm.Mov.Reg(asm.R6, asm.R0),
		asm.LoadMem(asm.R3, asm.R6, windowAddress, asm.DWord),
		asm.LoadMem(asm.R2, asm.R6, windowLength, asm.Word),
		asm.JGT.Imm(asm.R2, windowMost, "end"),
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.Add.Imm(asm.R1, windowBytes),
		asm.FnProbeReadKernel.Call(),
		asm.StoreMem(asm.R6, windowResult, asm.R0, asm.DWord),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("end"),
		asm.Return(),
	}
}

// Close unloads it. A nil Memory is fine.
func (m *Memory) Close() {
	if m == nil {
		return
	}
	if m.mapped != nil {
		_ = unix.Munmap(m.mapped)
		m.mapped = nil
	}
	m.perCPU.close()
	_ = m.program.Close()
	_ = m.window.Close()
}

// Read copies len(b) bytes of the kernel's memory.
func (m *Memory) Read(address uint64, b []byte) error {
	for len(b) > 0 {
		n := min(len(b), windowMost)
		binary.NativeEndian.PutUint64(m.mapped[windowAddress:], address)
		binary.NativeEndian.PutUint32(m.mapped[windowLength:], uint32(n))
		binary.NativeEndian.PutUint64(m.mapped[windowResult:], 1) // never what the helper returns
		if err := m.run(m.program); err != nil {
			return err
		}
		if r := int64(binary.NativeEndian.Uint64(m.mapped[windowResult:])); r != 0 {
			return fmt.Errorf("the kernel's memory at %#x can't be read: %d", address, r)
		}
		copy(b, m.mapped[windowBytes:windowBytes+n])
		address, b = address+uint64(n), b[n:]
	}
	return nil
}

func (m *Memory) run(program *ebpf.Program) error {
	// union bpf_attr, its test: what BPF_PROG_TEST_RUN takes.
	attr := struct {
		program, _ uint32
		_          [9]uint64
	}{program: uint32(program.FD())}
	for {
		_, _, e := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_TEST_RUN, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
		switch e {
		case 0:
			return nil
		case unix.EINTR, unix.EAGAIN:
		default:
			return fmt.Errorf("run an eBPF program: %w", e)
		}
	}
}

// Member is where a member of a structure of the running kernel lies, in bytes;
// name may go into structures inside: "node.next".
func (m *Memory) Member(structure, name string) (uint32, error) {
	key := [2]string{structure, name}
	if at, known := m.members[key]; known {
		return at, nil
	}
	at, err := pathOf(m.spec, structure, name)
	if err == nil {
		m.members[key] = at
	}
	return at, err
}

// Bit is where a bit of a structure lies: the byte, and the bit in it.
func (m *Memory) Bit(structure, name string) (at uint32, bit uint8, err error) {
	var s *btf.Struct
	if err := m.spec.TypeByName(structure, &s); err != nil {
		return 0, 0, fmt.Errorf("struct %s: %w", structure, err)
	}
	bits, err := descend(s.Members, name)
	if err != nil {
		return 0, 0, fmt.Errorf("struct %s of this kernel has no %s", structure, name)
	}
	return uint32(bits / 8), uint8(bits % 8), nil
}

// Size is how many bytes a structure has.
func (m *Memory) Size(structure string) (uint32, error) {
	var s *btf.Struct
	if err := m.spec.TypeByName(structure, &s); err != nil {
		return 0, fmt.Errorf("struct %s: %w", structure, err)
	}
	return s.Size, nil
}

var _ view.Kernel = (*Memory)(nil)

// pathOf finds "a.b.c" of a structure.
func pathOf(spec *btf.Spec, structure, path string) (uint32, error) {
	var s *btf.Struct
	if err := spec.TypeByName(structure, &s); err != nil {
		return 0, fmt.Errorf("struct %s: %w", structure, err)
	}
	at, err := descend(s.Members, path)
	if err != nil {
		return 0, fmt.Errorf("struct %s of this kernel has no %s", structure, path)
	}
	return uint32(at) / 8, nil
}

var errNoMember = errors.New("no such member")

func descend(members []btf.Member, path string) (btf.Bits, error) {
	name, rest := path, ""
	for i := range path {
		if path[i] == '.' {
			name, rest = path[:i], path[i+1:]
			break
		}
	}
	m, at, ok := searchMember(members, name)
	if !ok {
		return 0, errNoMember
	}
	if rest == "" {
		return at, nil
	}
	more, err := descend(membersOf(m.Type), rest)
	return at + more, err
}
