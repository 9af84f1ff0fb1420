package format

import "fmt"

func (c *checker) processes() error {
	for _, h := range c.Sighands {
		for _, a := range h.Actions {
			if a.Signal == 0 || a.Signal > 64 {
				return fmt.Errorf("signal table %d has an action for signal %d", h.Id, a.Signal)
			}
		}
	}
	tids := map[uint32]bool{}
	for _, p := range c.Processes {
		if p.Pid == 0 || p.Pid > maxPID || len(p.Tasks) == 0 || p.Tasks[0].Tid != p.Pid {
			return fmt.Errorf("process %d has no task of its number as its first", p.Pid)
		}
		for _, t := range p.Tasks {
			if t.Tid == 0 || t.Tid > maxPID || tids[t.Tid] {
				return fmt.Errorf("process %d has task %d, which is there twice or is none", p.Pid, t.Tid)
			}
			tids[t.Tid] = true
			if badName(t.Name, 64) {
				return fmt.Errorf("task %d has a name of %d bytes, or a NUL among them", t.Tid, len(t.Name))
			}
		}
		if p.State == ProcessState_ZOMBIE {
			continue
		}
		if p.State <= ProcessState_PROCESS_UNSPECIFIED || p.State > ProcessState_ZOMBIE {
			return fmt.Errorf("process %d is in state %d, which this version does not know", p.Pid, p.State)
		}
		if err := c.process(p); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) process(p *Process) error {
	who := func() string { return fmt.Sprintf("process %d", p.Pid) }
	if err := c.want(p.Mm, anMm, who); err != nil {
		return err
	}
	if err := c.want(p.Sighand, aSighand, who); err != nil {
		return err
	}
	if err := c.namespaceIDs(p.Namespaces, who); err != nil {
		return err
	}
	for _, k := range p.Tasks {
		if err := c.namespaceIDs(k.Namespaces, func() string { return fmt.Sprintf("task %d", k.Tid) }); err != nil {
			return err
		}
	}
	if err := c.undo(p); err != nil {
		return err
	}
	if err := signals(p.Pending, who); err != nil {
		return err
	}
	if p.ExitSignal > 64 || p.StopSignal > 64 || p.Group > maxPID || p.Session > maxPID {
		return fmt.Errorf("%s has a signal, group or session that does not exist", who())
	}
	for _, l := range p.Limits {
		if l.Resource >= 16 { // RLIM_NLIMITS
			return fmt.Errorf("%s has resource limit %d, which does not exist", who(), l.Resource)
		}
	}
	for _, t := range p.Timers {
		if t.Which > 2 {
			return fmt.Errorf("%s has interval timer %d, which does not exist", who(), t.Which)
		}
	}
	if err := posixTimers(p, who); err != nil {
		return err
	}
	if n := p.AutogroupNice; n < -20 || n > 19 {
		return fmt.Errorf("the nice value of the session of %s is %d", who(), n)
	}
	if err := memberships(p.Cgroups); err != nil {
		return fmt.Errorf("%s %w", who(), err)
	}
	if t := p.Terminal; t != nil && (badPath(t.Path) || t.ForegroundGroup > maxPID) {
		return fmt.Errorf("%s has a controlling terminal %.80q", who(), t.Path)
	}
	for i, t := range p.Tasks {
		if t.Ended && (i > 0 || len(p.Tasks) == 1 || p.State != ProcessState_RUNNING || t.WaitStatus&^0xff00 != 0) {
			return fmt.Errorf("task %d of %s has ended, and is not the first of several that go on, or has wait status %#x", t.Tid, who(), t.WaitStatus)
		}
		if err := memberships(t.Cgroups); err != nil {
			return fmt.Errorf("task %d of %s %w", t.Tid, who(), err)
		}
		if err := c.task(t); err != nil {
			return err
		}
	}
	return nil
}

func posixTimers(p *Process, who func() string) error {
	tasks := map[uint32]bool{0: true} // none
	for _, t := range p.Tasks {
		tasks[t.Tid] = !t.Ended
	}
	for i, t := range p.PosixTimers {
		switch {
		case t.Id > maxTimerID || i > 0 && t.Id <= p.PosixTimers[i-1].Id:
			return fmt.Errorf("%s has a timer %d out of order", who(), t.Id)
		case t.Notify > 2 || (t.Signal == 0 || t.Signal > 64) && t.Notify != 1 || t.Overrun > maxTimerID:
			return fmt.Errorf("%s has timer %d, which gives a signal that does not exist", who(), t.Id)
		case !tasks[t.Thread] || !tasks[t.Owner]:
			return fmt.Errorf("%s has timer %d of a task that is none of its own", who(), t.Id)
		case t.IntervalNs > maxTime || t.RemainingNs < 0 && !t.Fired || t.RemainingNs > 0 && t.Fired || t.Fired && !t.Armed:
			return fmt.Errorf("%s has timer %d with a time that can't be", who(), t.Id)
		case t.Absolute && (t.Clock != 0 || !t.Armed): // CLOCK_REALTIME
			return fmt.Errorf("%s has timer %d, which can't stand at a time of the day", who(), t.Id)
		}
	}
	return nil
}

const maxTimerID = 1<<31 - 1 // timer_t is an int

// maxTime is the longest time that the kernel has, in ns (KTIME_MAX,
// include/linux/ktime.h).
const maxTime = 1<<63 - 1

// Note types of register sets (include/uapi/linux/elf.h).
const (
	ntPrstatus  = 1
	maxRegister = 64 << 10 // bytes of a set; an xsave area with AMX has 11 KiB
)

// GeneralRegisters is the size of NT_PRSTATUS's register set: struct
// user_regs_struct of amd64, struct user_pt_regs of arm64.
func GeneralRegisters(architecture string) int {
	if architecture == "arm64" {
		return 34 * 8
	}
	return 27 * 8
}

func (c *checker) task(t *Task) error {
	who := func() string { return fmt.Sprintf("task %d", t.Tid) }
	if err := c.want(t.Files, aFiles, who); err != nil {
		return err
	}
	if err := c.want(t.Fs, anFs, who); err != nil {
		return err
	}
	// Without them it would be made with those of the restart, root's.
	if t.Credentials == nil {
		return fmt.Errorf("%s has no credentials", who())
	}
	const maxGroups = 65536 // NGROUPS_MAX
	if n := len(t.Credentials.Groups); n > maxGroups {
		return fmt.Errorf("%s is in %d groups", who(), n)
	}
	general := false
	for _, r := range t.Registers {
		if len(r.Data) > maxRegister {
			return fmt.Errorf("%s has a register set of %d bytes", who(), len(r.Data))
		}
		general = general || r.NoteType == ntPrstatus && len(r.Data) == GeneralRegisters(c.Header.Architecture)
	}
	if !general && !t.Ended {
		return fmt.Errorf("%s has no general registers, or not those of %s", who(), c.Header.Architecture)
	}
	if l := t.Credentials.LoginUidPlusOne; l > 1<<32 || badName(t.Credentials.LsmLabel, 1<<16) {
		return fmt.Errorf("%s has login uid %d, or a security label that no kernel gives", who(), l-1)
	}
	const controls = 2 | 4 | 8 // PR_SPEC_*
	if (t.StoreBypass|t.IndirectBranch)&^controls != 0 {
		return fmt.Errorf("%s controls speculation by %#x and %#x, which no kernel knows", who(), t.StoreBypass, t.IndirectBranch)
	}
	if s := t.Scheduling; s.GetUtilMin() > 1024 || s.GetUtilMax() > 1024 || len(s.GetMemoryNodes()) > 128 || t.McePolicy > McePolicy_MCE_EARLY || t.McePolicy < 0 {
		return fmt.Errorf("%s has bounds of CPU use, nodes of memory or a policy for broken memory that no kernel takes", who())
	}
	const userDesc = 16  // sizeof(struct user_desc)
	const maxMask = 8192 // bytes, of 65536 CPUs
	if n := len(t.Scheduling.GetAffinity()); n > maxMask {
		return fmt.Errorf("%s has a CPU mask of %d bytes", who(), n)
	}
	if t.NarrowRobustList != 0 && c.Header.Architecture != "amd64" {
		return fmt.Errorf("%s has a robust list of 32-bit code on %s", who(), c.Header.Architecture)
	}
	if c := t.RestartCode; c != 0 && (c < 512 || c > 514 || t.SystemCallPlusOne == 0) {
		return fmt.Errorf("%s has a system call to be restarted by code %d, which does not exist, or no such call", who(), c)
	}
	if r := t.Rest; r != nil {
		if r.Kind <= RestKind_REST_UNSPECIFIED || r.Kind > RestKind_REST_ARGUMENT {
			return fmt.Errorf("%s is in a call of kind %d with a limit to its time, which this version does not know", who(), r.Kind)
		}
		if r.Kind == RestKind_REST_ARGUMENT && t.SystemCallPlusOne == 0 {
			return fmt.Errorf("%s has %d ns left in a call of which nobody knows which one it is", who(), r.RemainingNs)
		}
		if r.RemainingNs == 0 || r.RemainingNs > maxTime {
			return fmt.Errorf("%s is in a call that has %d ns left", who(), r.RemainingNs)
		}
	}
	if t.SeccompMode > 2 || (t.SeccompFilter != 0) != (t.SeccompMode == seccompModeFilter) {
		return fmt.Errorf("%s is in mode %d of seccomp with filter %d", who(), t.SeccompMode, t.SeccompFilter)
	}
	if t.SeccompFilter != 0 {
		if err := c.want(t.SeccompFilter, aFilter, who); err != nil {
			return err
		}
	}
	if t.SessionKeyring != 0 {
		if err := c.want(t.SessionKeyring, aKeyring, who); err != nil {
			return err
		}
	}
	if err := c.debugRegisters(t.DebugRegisters, who); err != nil {
		return err
	}
	for _, d := range t.ThreadAreas {
		if len(d) != userDesc {
			return fmt.Errorf("%s has a segment described by %d bytes", who(), len(d))
		}
	}
	if t.ParentDeathSignal > 64 {
		return fmt.Errorf("%s has signal %d sent when its parent dies", who(), t.ParentDeathSignal)
	}
	return signals(t.Pending, who)
}

func signals(pending [][]byte, who func() string) error {
	const siginfo = 128
	for _, b := range pending {
		if len(b) != siginfo {
			return fmt.Errorf("%s has a pending signal of %d bytes", who(), len(b))
		}
	}
	return nil
}

// groups checks what every kernel keeps: a process group lies within one
// session, and a session's leader leads its group (setsid(2), setpgid(2)).
// Number 0 is that of a group or session from outside.
func (c *checker) groups() error {
	session := map[uint32]uint32{} // of each group
	for _, p := range c.Processes {
		if p.Session == p.Pid && p.Group != p.Pid {
			return fmt.Errorf("process %d leads its session and is in process group %d", p.Pid, p.Group)
		}
		if p.Group == 0 {
			if p.Session != 0 {
				return fmt.Errorf("process %d is in a process group from outside and in session %d", p.Pid, p.Session)
			}
			continue
		}
		if other, ok := session[p.Group]; ok && other != p.Session {
			return fmt.Errorf("process group %d is in session %d and in session %d", p.Group, other, p.Session)
		}
		session[p.Group] = p.Session
	}
	for _, p := range c.Processes {
		if s, ok := session[p.Pid]; ok && s != p.Session {
			return fmt.Errorf("process %d is in session %d, and the process group of its number in session %d", p.Pid, p.Session, s)
		}
		if s, ok := session[p.Session]; ok && s != p.Session {
			return fmt.Errorf("process %d is in session %d, and the process group of that number in session %d", p.Pid, p.Session, s)
		}
	}
	return nil
}

// tree checks that all processes descend from the container's first.
func (c *checker) tree() error {
	parents := map[uint32]uint32{}
	for _, p := range c.Processes {
		parents[p.Pid] = p.Parent
	}
	root := c.Container.RootPid
	if parent, ok := parents[root]; !ok || parent != 0 {
		return fmt.Errorf("the container's first process %d is not there, or has a parent", root)
	}
	descends := map[uint32]bool{root: true}
	for _, p := range c.Processes {
		var path []uint32
		for at := p.Pid; !descends[at]; at = parents[at] {
			if _, ok := parents[at]; !ok || len(path) > len(c.Processes) {
				return fmt.Errorf("process %d does not descend from the container's first process %d", p.Pid, root)
			}
			path = append(path, at)
		}
		for _, pid := range path {
			descends[pid] = true
		}
	}
	return nil
}
