package bpf

import (
	"encoding/binary"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// perCPU tells where CPUs have their parts of a map: a program looks an element up
// and leaves its address in the window. So it is known without the kernel's table of
// symbols where each CPU has its part of anything.
type perCPU struct {
	elements *ebpf.Map
	program  *ebpf.Program
}

func (p *perCPU) open(window *ebpf.Map) (err error) {
	if p.program != nil {
		return nil
	}
	if p.elements == nil {
		if p.elements, err = ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 8, MaxEntries: 1}); err != nil {
			return fmt.Errorf("make a map: %w", err)
		}
	}
	if p.program, err = ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "lxc_checkpoint", Type: ebpf.RawTracepoint, Instructions: assemblePerCPU(window, p.elements), License: "GPL",
	}); err != nil {
		return fmt.Errorf("load the program: %w", err)
	}
	return nil
}

// assemblePerCPU takes the CPU's number from the window's length, and puts the
// address into its bytes.
func assemblePerCPU(window, elements *ebpf.Map) asm.Instructions {
	return asm.Instructions{
		asm.StoreImm(asm.RFP, -4, 0, asm.Word),
		asm.LoadMapPtr(asm.R1, window.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -4),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "end"),
		asm.Mov.Reg(asm.R6, asm.R0),
		asm.LoadMapPtr(asm.R1, elements.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -4),
		asm.LoadMem(asm.R3, asm.R6, windowLength, asm.Word),
		asm.FnMapLookupPercpuElem.Call(), // Linux 5.19
		asm.JEq.Imm(asm.R0, 0, "end"),
		asm.StoreMem(asm.R6, windowBytes, asm.R0, asm.DWord),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("end"),
		asm.Return(),
	}
}

func (p *perCPU) close() {
	_ = p.program.Close()
	_ = p.elements.Close()
}

// PerCPU finds the address for a CPU.
func (m *Memory) PerCPU(cpu uint32) (fd int, address uint64, err error) {
	if err := m.perCPU.open(m.window); err != nil {
		return -1, 0, err
	}
	binary.NativeEndian.PutUint32(m.mapped[windowLength:], cpu)
	binary.NativeEndian.PutUint64(m.mapped[windowBytes:], 0)
	if err := m.run(m.perCPU.program); err != nil {
		return -1, 0, err
	}
	if address = binary.NativeEndian.Uint64(m.mapped[windowBytes:]); address == 0 {
		return -1, 0, fmt.Errorf("it does not tell where CPU %d has its memory", cpu)
	}
	return m.perCPU.elements.FD(), address, nil
}
