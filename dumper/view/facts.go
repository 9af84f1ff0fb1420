package view

// TaskFacts are what no file of /proc tells of a task. There are two tellers:
// an eBPF iterator that reads them in the kernel while the task stands still
// (dumper/bpf), and, where the kernel has none, calls that the task is made to
// make itself (dumper/tasks). Both tell the same.
type TaskFacts struct {
	ClearChildTID     uint64 // set_tid_address(2)
	ParentDeathSignal uint32 // PR_GET_PDEATHSIG
	Securebits        uint32 // PR_GET_SECUREBITS
	Stack             AlternateStack
	// Unusual: the task may have set a mode that only it can be asked for
	// (PR_GET_TSC, ARCH_GET_CPUID); the other teller asks anyway.
	Unusual     bool
	TSCMode     uint32 // PR_GET_TSC; 0: PR_TSC_ENABLE, or not available
	CPUIDFaults bool   // ARCH_GET_CPUID says 0
	// Address is that of the kernel's task_struct; 0 unless eBPF has told it.
	Address uint64
	// Block is only told by eBPF; nil otherwise.
	Block           *RestartBlock
	Flags           uint32 // as /proc/PID/task/TID/stat has them
	LoginUIDPlusOne uint64 // /proc/PID/loginuid, plus one; 0: this kernel has none
	// MemoryPolicy says that set_mempolicy(2) has set one, Keyrings that the task
	// has a keyring of its own or its process's (keyrings(7)): which, it is asked.
	MemoryPolicy, Keyrings bool

	// Landlock says that it has restricted itself by Landlock (landlock(7)): eBPF
	// alone tells. No file does, and the task itself could only find out by trying.
	Landlock bool

	// Seen is what eBPF sees besides, so that files of /proc need not be read for
	// each task; nil otherwise.
	Seen *Seen

	// Undo is what happens to semaphores when the last task that has it ends, told by
	// eBPF alone: the other way needs the sets (dumper/askundo.go). nil:
	// nothing, or nobody could tell.
	Undo *Undo

	// These are the process's; every task of it has them.
	ChildSubreaper bool // PR_GET_CHILD_SUBREAPER
	// IntervalTimers says that getitimer(2) would show one that runs.
	IntervalTimers bool
	// AbsoluteTimers are timers of timer_create(2) with CLOCK_REALTIME, by their
	// id, that were started with TIMER_ABSTIME: when they expire, in nanoseconds.
	// That is told by eBPF alone, with the first task of a process.
	AbsoluteTimers map[uint32]int64
	// LastPID was given out last in the pid namespace that its children are in
	// (/proc/sys/kernel/ns_last_pid).
	LastPID uint32
	// Actions are the 64 signal actions as rt_sigaction(2) gives them, 32 bytes
	// each: handler, flags, restorer, mask.
	Actions  []byte
	Brk      uint64 // end of the heap, brk(2)
	Dumpable uint32 // PR_GET_DUMPABLE
	// LockFuture is what mlockall(2) has ordered for mappings to come: 0,
	// MCL_FUTURE, or MCL_FUTURE|MCL_ONFAULT.
	LockFuture uint32
	// MemorySettings says that prctl(2) may have set something of the address
	// space that only itself can be asked for (memory.Settings).
	MemorySettings bool
	// Membarrier are the registrations of membarrier(2), as
	// MEMBARRIER_CMD_GET_REGISTRATIONS has them.
	Membarrier uint32
	// LDT says that it has a local descriptor table (modify_ldt(2), amd64).
	LDT bool
	// Keys are the protection keys that pkey_alloc(2) has given it, a bit each.
	Keys uint32
	// Aio says that it has, or has had, a context of io_setup(2).
	Aio bool
}

// Seen tells in a moment what costs a file of /proc, or a comparison by kcmp(2),
// each. Addresses are the kernel's: what has the same one is the same.
type Seen struct {
	Mm, Files, Fs, Sighand uint64
	// Namespaces are those of all kinds: who has the same three is in the same
	// ones, and so are its children.
	Namespaces Namespaces
	Cgroups    uint64 // who has the same is in the same cgroup of every hierarchy
	// SessionKeyring is that of keyrings(7); 0: it has none.
	SessionKeyring uint64

	TimerSlack    uint64 // /proc/PID/timerslack_ns
	Personality   uint32 // /proc/PID/personality
	PosixTimers   bool   // the process has timers of timer_create(2)
	OOMScoreAdj   int32  // /proc/PID/oom_score_adj
	AutogroupNice int32  // /proc/PID/autogroup
	Limits        []Limit
}

// HasSeen is what eBPF has seen of a task; zeros if nobody tells.
func (f *TaskFacts) HasSeen() Seen {
	if f == nil || f.Seen == nil {
		return Seen{}
	}
	return *f.Seen
}

// Namespaces are a task's: its set of most kinds, its pid namespace, which the
// set does not have but for its children, and its user namespace.
type Namespaces struct{ Set, PID, User uint64 }

// Limit is one of getrlimit(2); its place in a list is its number.
type Limit struct{ Current, Maximum uint64 }

// Undo is a list of adjustments to System V semaphores (SEM_UNDO of semop(2)),
// which threads share (CLONE_SYSVSEM).
type Undo struct {
	List uint64 // which one it is: the kernel's address
	Sets []UndoSet
	More bool // it has more sets than these
}

// UndoSet is what is done to a set of semaphores. Behind the last semaphore of
// the set the numbers mean nothing.
type UndoSet struct {
	ID          uint32
	Adjustments []int16
}

// AlternateStack is what sigaltstack(2) tells, but for SS_ONSTACK.
type AlternateStack struct {
	Pointer, Size uint64
	Flags         uint32
}

// ActionSize is sizeof(struct sigaction) of the kernel (include/linux/signal_types.h),
// on amd64 and arm64.
const ActionSize = 32

// RestartBlock is what the kernel keeps of a call that it restarts by itself
// (struct restart_block). Which part is valid follows from the call; the rest
// is what the same memory means otherwise. Times are of the first time
// namespace, in nanoseconds.
type RestartBlock struct {
	Sleep struct {
		Clock     int32
		Remainder uint64 // address, 0: none
		Expires   uint64
		Short     bool // the remainder has 32-bit times
	}
	Poll struct {
		Descriptors uint64 // address
		Count       uint32
		Limited     bool // it has a timeout
		Expires     uint64
	}
	Futex struct {
		Address uint64
		Value   uint32
		Expires uint64
	}
}
