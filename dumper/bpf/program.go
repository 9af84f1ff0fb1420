package bpf

import (
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// The record that the program writes for each task: where its parts lie.
// Pointers are read into it because the program has nowhere else to put them.
const (
	atPID          = 0 // 4 bytes, then tgid, 4 bytes
	atTGID         = 4
	atClearTID     = 8
	atStackSP      = 16
	atStackSize    = 24
	atStackFlags   = 32 // 4
	atDeathSignal  = 36 // 4
	atCred         = 40
	atMM           = 48
	atSignal       = 56
	atSighand      = 64
	atBrk          = 72
	atMMFlags      = 80
	atSecurebits   = 88 // 4
	atSubreaper    = 92 // 1
	atArmed        = 93 // 1: state of the real timer
	atCPUTimers    = 96 // two of cpuTimerSize
	atNSProxy      = 128
	atPIDNS        = 136
	atNextPID      = 144 // 4
	atInterval     = 152 // of the real timer
	atDefFlags     = 160
	atBlock        = 168 // restart_block, blockSize
	atMemoryPolicy = atBlock + blockSize
	atKeyrings     = atMemoryPolicy + 8 // two pointers
	atFlags        = atKeyrings + 16    // 4
	atLoginUID     = atFlags + 4        // 4
	atThreadFlags  = atLoginUID + 4     // of thread_info
	atMembarrier   = atThreadFlags + 8  // 4, padded
	atLDT          = atMembarrier + 8   // a pointer
	atAio          = atLDT + 8          // a pointer
	atKeys         = atAio + 8          // 2, and 2 of the key for memory that is only executed
	atTask         = atKeys + 8         // the task_struct itself
	atUndo         = atTask + 8
	atSeen         = atUndo + undoSize
	atTimers       = atSeen + seenSize
	atSecurity     = atTimers + timersSize // a pointer, 0: no module keeps anything
	atBlob         = atSecurity + 8
	atActions      = atBlob + blobSize
	recordSize     = atActions + signals*actionSize

	signals      = 64
	actionSize   = 32
	cpuTimerSize = 16 // struct cpu_itimer: expires, incr
	blockSize    = 64 // struct restart_block, at most
)

// assemble writes the program: for each task of a process that is in the
// filter, it fills a record and writes that to the iterator's reader.
//
// The registers that calls keep: R6 the context, R7 the task, R8 the record.
func assemble(o offsets, filter, record *ebpf.Map) asm.Instructions {
	p := asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.LoadMem(asm.R7, asm.R6, 8, asm.DWord), // ctx->task
		asm.JEq.Imm(asm.R7, 0, "end"),             // after the last one

		// Is it one of ours?
		asm.LoadMem(asm.R1, asm.R7, int16(o.tgid), asm.Word),
		asm.StoreMem(asm.RFP, -4, asm.R1, asm.Word),
		asm.LoadMapPtr(asm.R1, filter.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -4),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "end"),

		// The record is an element of an array: the stack has 512 bytes only.
		asm.StoreImm(asm.RFP, -4, 0, asm.Word),
		asm.LoadMapPtr(asm.R1, record.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -4),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "end"),
		asm.Mov.Reg(asm.R8, asm.R0),
	}
	read := func(to int32, size int32, base asm.Instruction, offset uint32) {
		p = addRead(p, to, size, base, offset)
	}
	task := asm.Mov.Reg(asm.R3, asm.R7)
	pointer := func(at int16) asm.Instruction { return asm.LoadMem(asm.R3, asm.R8, at, asm.DWord) }

	p = append(p, asm.StoreMem(asm.R8, atTask, asm.R7, asm.DWord))
	read(atPID, 4, task, o.pid)
	read(atTGID, 4, task, o.tgid)
	read(atClearTID, 8, task, o.clearChildTID)
	read(atStackSP, 8, task, o.stackPointer)
	read(atStackSize, 8, task, o.stackSize)
	read(atStackFlags, 4, task, o.stackFlags)
	read(atDeathSignal, 4, task, o.deathSignal)
	read(atCred, 8, task, o.cred)
	read(atMM, 8, task, o.mm)
	read(atSignal, 8, task, o.signal)
	read(atSighand, 8, task, o.sighand)
	read(atSecurebits, 4, pointer(atCred), o.securebits)
	read(atBrk, 8, pointer(atMM), o.brk)
	read(atMMFlags, 8, pointer(atMM), o.mmFlags)
	read(atDefFlags, 8, pointer(atMM), o.defFlags)
	read(atMembarrier, 4, pointer(atMM), o.membarrier)
	if o.ldt != 0 {
		read(atLDT, 8, pointer(atMM), o.ldt)
	}
	if o.keys != 0 {
		read(atKeys, 2, pointer(atMM), o.keys)
		read(atKeys+2, 2, pointer(atMM), o.executeOnlyKey)
	}
	if o.aio != 0 {
		read(atAio, 8, pointer(atMM), o.aio)
	}
	read(atThreadFlags, 8, task, o.threadInfo+o.threadFlags)
	read(atSubreaper, 1, pointer(atSignal), o.subreaper)
	read(atArmed, 1, pointer(atSignal), o.realTimer+o.armed)
	read(atInterval, 8, pointer(atSignal), o.realInterval)
	read(atCPUTimers, 2*cpuTimerSize, pointer(atSignal), o.cpuTimers)
	read(atNSProxy, 8, task, o.nsproxy)
	read(atPIDNS, 8, pointer(atNSProxy), o.pidNamespace)
	read(atNextPID, 4, pointer(atPIDNS), o.idr+o.idrNext)
	read(atBlock, blockSize, task, o.block.start)
	read(atFlags, 4, task, o.flags)
	// A field that this kernel lacks lies nowhere, and stays 0.
	if o.loginUID != 0 {
		read(atLoginUID, 4, task, o.loginUID)
	}
	if o.memoryPolicy != 0 {
		read(atMemoryPolicy, 8, task, o.memoryPolicy)
	}
	if o.threadKeyring != 0 && o.itsKeyring != 0 {
		read(atKeyrings, 8, pointer(atCred), o.threadKeyring)
		read(atKeyrings+8, 8, pointer(atCred), o.itsKeyring)
	}
	if u := o.undo; u != nil {
		read(atUndo, 8, task, u.list)
		read(atUndo+8, 8, pointer(atUndo), u.head)
		for i := range int32(undoSets) {
			this, at := int16(atUndo+8), atUndo+16+i*undoEntry
			if i > 0 {
				this = int16(at - undoEntry + undoNext)
			}
			read(at+undoNext, 8, pointer(this), 0)
			read(at+undoID, 4, pointer(this), u.id-u.entry)
			if u.pointer {
				read(at+undoAt, 8, pointer(this), u.adj-u.entry)
				read(at+undoNumbers, 2*undoSemaphores, pointer(int16(at+undoAt)), 0)
			} else {
				read(at+undoNumbers, 2*undoSemaphores, pointer(this), u.adj-u.entry)
			}
		}
	}
	if s := o.seen; s != nil {
		read(atSeen+seenFiles, 8, task, s.files)
		read(atSeen+seenFs, 8, task, s.fs)
		read(atSeen+seenCgroups, 8, task, s.cgroups)
		read(atSeen+seenTimerSlack, 8, task, s.timerSlack)
		read(atSeen+seenPersonality, 4, task, s.personality)
		read(atSeen+seenTimers, 8, pointer(atSignal), s.timers)
		read(atSeen+seenOOM, 2, pointer(atSignal), s.oomScoreAdj)
		read(atSeen+seenLimits, limits*limitSize, pointer(atSignal), s.limits)
		read(atSeen+seenUser, 8, pointer(atCred), s.user)
		if s.session != 0 {
			read(atSeen+seenSession, 8, pointer(atCred), s.session)
		}
		// The last number of those that the task has is that in its own namespace.
		read(atSeen+seenPID, 8, task, s.pid)
		read(atSeen+seenLevel, 4, pointer(atSeen+seenPID), s.level)
		p = append(p,
			asm.LoadMem(asm.R3, asm.R8, atSeen+seenPID, asm.DWord),
			asm.LoadMem(asm.R1, asm.R8, atSeen+seenLevel, asm.Word),
			asm.Mul.Imm(asm.R1, int32(s.number)),
			asm.Add.Reg(asm.R3, asm.R1),
			asm.StoreMem(asm.R8, atSeen+seenNumber, asm.R3, asm.DWord),
		)
		read(atSeen+seenPIDNS, 8, pointer(atSeen+seenNumber), s.numbers+s.namespace)
		if s.autogroup != 0 {
			read(atSeen+seenGroup, 8, pointer(atSignal), s.autogroup)
			read(atSeen+seenGroupNice, 4, pointer(atSeen+seenGroup), s.groupNice)
		}
	}
	if o.security != 0 {
		read(atSecurity, 8, pointer(atCred), o.security)
		read(atBlob, blobSize, pointer(atSecurity), 0)
	}
	if o.timers != nil {
		p = o.timers.walk(p, addRead)
	}
	read(atActions, signals*actionSize, pointer(atSighand), o.actions)

	return append(p,
		asm.LoadMem(asm.R1, asm.R6, 0, asm.DWord), // ctx->meta
		asm.LoadMem(asm.R1, asm.R1, 0, asm.DWord), // meta->seq
		asm.Mov.Reg(asm.R2, asm.R8),
		asm.Mov.Imm(asm.R3, recordSize),
		asm.FnSeqWrite.Call(),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("end"),
		asm.Return(),
	)
}

// addRead adds what copies size bytes at base+offset of the kernel into the
// record; what can't be read becomes zeros.
func addRead(p asm.Instructions, to, size int32, base asm.Instruction, offset uint32) asm.Instructions {
	return append(p,
		base, // into R3
		asm.Add.Imm(asm.R3, int32(offset)),
		asm.Mov.Reg(asm.R1, asm.R8),
		asm.Add.Imm(asm.R1, to),
		asm.Mov.Imm(asm.R2, size),
		asm.FnProbeReadKernel.Call(),
	)
}
