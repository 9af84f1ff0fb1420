package memory

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
)

// firstProtection is what a mapping has while it is filled. For memory that may only
// be executed the kernel takes a protection key, whichever is free (execute_only_pkey,
// arch/x86/mm/pkeys.c): that comes later, when those before it are taken.
func firstProtection(v *format.Vma) uint64 {
	if onlyExecuted(v) {
		return unix.PROT_EXEC | unix.PROT_READ
	}
	return uint64(v.Prot)
}

// onlyExecuted tells whether memory may only be executed; that of vsyscall, which the
// kernel shows so, is its own.
func onlyExecuted(v *format.Vma) bool {
	return v.Prot == unix.PROT_EXEC && v.Kind != format.VmaKind_VMA_VSYSCALL
}

// protectByKeys gives memory its protection keys, and what may only be executed its
// protection. New keys are numbered from 1, so all are taken up to the last that is
// needed, and those that the program had not are freed again: memory keeps a key that
// its program has freed. It comes late, since the stub itself may not use memory that
// has a key.
func protectByKeys(mm *format.Mm, add func(what string, nr uint64, args ...uint64)) {
	only := executeOnlyKey(mm)
	used := mm.ProtectionKeys
	for _, v := range mm.Vmas {
		used |= 1 << v.ProtectionKey
	}
	executed := func() {
		for _, v := range mm.Vmas {
			if onlyExecuted(v) && v.ProtectionKey == only {
				add(fmt.Sprintf("have %#x-%#x only executed", v.Start, v.End), unix.SYS_MPROTECT, v.Start, v.End-v.Start, unix.PROT_EXEC)
			}
		}
	}
	for key := uint32(1); used>>key != 0; key++ {
		if key == only {
			executed()
		} else {
			add(fmt.Sprintf("protection key %d", key), unix.SYS_PKEY_ALLOC, 0, 0)
		}
	}
	if only == 0 {
		executed() // as a CPU without keys has it
	}
	for _, v := range mm.Vmas {
		usual := uint32(0)
		if onlyExecuted(v) {
			usual = only
		}
		if v.ProtectionKey != usual {
			add(fmt.Sprintf("protection key %d of %#x-%#x", v.ProtectionKey, v.Start, v.End), unix.SYS_PKEY_MPROTECT, v.Start, v.End-v.Start, uint64(v.Prot), uint64(v.ProtectionKey))
		}
	}
	for key := uint32(1); used>>key != 0; key++ {
		if key != only && mm.ProtectionKeys>>key&1 == 0 {
			add(fmt.Sprintf("free protection key %d", key), unix.SYS_PKEY_FREE, uint64(key))
		}
	}
}

// HasKeys tells whether an address space has protection keys.
func HasKeys(mm *format.Mm) bool {
	return mm.ProtectionKeys != 0 || slices.ContainsFunc(mm.Vmas, func(v *format.Vma) bool { return v.ProtectionKey != 0 })
}

// executeOnlyKey is the key that the kernel has taken for memory which may only be
// executed: none that the program could have. 0: there is none.
func executeOnlyKey(mm *format.Mm) uint32 {
	for _, v := range mm.Vmas {
		if onlyExecuted(v) && mm.ProtectionKeys>>v.ProtectionKey&1 == 0 {
			return v.ProtectionKey
		}
	}
	return 0
}
