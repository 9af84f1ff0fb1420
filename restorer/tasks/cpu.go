package tasks

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/cpufeature"
	"lxc-checkpoint/refusal"
	"lxc-checkpoint/tracee"
)

// CheckCPU refuses an image whose tasks may use what this CPU can't do, or
// whose registers it can't hold.
func CheckCPU(s *format.Skeleton) error {
	have, err := cpufeature.Usable()
	if err != nil {
		return err
	}
	lacks := cpufeature.Missing(s.Header.CpuFeatures, have)
	registers, err := lostRegisters(s.Header)
	if err != nil {
		return err
	}
	if lacks = append(lacks, registers...); len(lacks) > 0 {
		return fmt.Errorf("%w: %w", &refusal.Refusal{
			Object: "CPU", Reason: fmt.Sprintf("this CPU lacks %s, which the checkpointed tasks may use", strings.Join(lacks, ", ")),
			Remedy: "restart them on a CPU that has it",
		}, unix.ENODEV)
	}
	for _, p := range s.Processes {
		for _, k := range p.Tasks {
			if _, err := Registers(s.Header, k); err != nil {
				return fmt.Errorf("task %d (%s): %w", k.Tid, k.Name, err)
			}
		}
	}
	return nil
}

// Registers are a task's register sets as this CPU takes them.
func Registers(h *format.Header, k *format.Task) ([]tracee.RegisterSet, error) {
	var sets []tracee.RegisterSet
	for _, s := range k.Registers {
		data, err := convert(h, s)
		if err != nil {
			return nil, err
		}
		sets = append(sets, tracee.RegisterSet{NoteType: s.NoteType, Data: data})
	}
	return sets, nil
}
