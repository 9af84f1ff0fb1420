package dumper

import (
	"fmt"
	"slices"

	"lxc-checkpoint/dumper/bpf"
	"lxc-checkpoint/dumper/fds"
	"lxc-checkpoint/dumper/tasks"
	"lxc-checkpoint/dumper/view"
	"lxc-checkpoint/refusal"
)

// lookAtDescriptors looks at the descriptor tables, which also know the names
// of the container's terminals.
func (l *looking) lookAtDescriptors() error {
	queues, err := l.lookAtQueues()
	if err != nil {
		return err
	}
	env := fds.Env{
		Queues: queues,
		First:  l.first().Alive(), IDs: l.ids, Namespaces: map[uint64]uint32{}, Nested: l.nested,
		Tasks: l.numbers(), Objects: l.objects, Programs: l.programs, Ask: l.askSocket, Connections: l.connections, RefuseTCP: l.o.RefuseTCP, ShellJob: l.o.ShellJob, Log: l.o.Log,
		Kernel: l.kernelMemory(), Facts: l.told, Enter: l.enterRing,
		External: l.o.External,
	}
	env.Networks = l.world.Networks()
	for _, n := range l.skeleton.Namespaces {
		env.Namespaces[n.Inode] = n.Id
	}
	result, refused, err := fds.Look(l.ctx, env, l.tables)
	if err != nil {
		return err
	}
	l.refuse(refused)
	l.rings, l.packetRings = result.Rings, result.PacketRings
	l.skeleton.MessageQueues = queues.Found
	l.skeleton.Files, l.skeleton.OpenFiles, l.skeleton.Pipes = result.Files, result.OpenFiles, result.Pipes
	l.skeleton.BpfMaps, l.skeleton.BpfPrograms, l.skeleton.BpfAttachments = l.programs.Maps, l.programs.Programs, l.programs.Attachments
	l.refuse(queues.Refused())
	l.checkQueues()
	l.nameTerminals(result)
	return nil
}

// kernelMemory is who reads the kernel's memory; nil if there is no eBPF. It is
// loaded when somebody asks for the first time.
func (l *looking) kernelMemory() func() (view.Kernel, error) {
	if l.told == nil {
		return nil
	}
	return func() (view.Kernel, error) {
		if l.kernel == nil {
			m, err := bpf.OpenMemory()
			if err != nil {
				return nil, err
			}
			l.kernel = m
		}
		return l.kernel, nil
	}
}

// numbers are those of all tasks in the container's pid namespace, by the host's.
func (l *looking) numbers() map[int]uint32 {
	numbers := map[int]uint32{}
	for i, p := range l.held.Processes() {
		numbers[p.PID] = l.found[i].Pid
		first := 0
		if p.LeaderEnded {
			first = 1 // the leader, which the hold does not have
		}
		for j, t := range p.Threads {
			if first+j < len(l.found[i].Tasks) { // not what was refused
				numbers[t.TID()] = l.found[i].Tasks[first+j].Tid
			}
		}
	}
	return numbers
}

// nameTerminals names the controlling terminal of each session.
func (l *looking) nameTerminals(result *fds.Result) {
	refused := map[uint32]bool{} // sessions
	for _, f := range l.found {
		if f.TerminalMajor == 0 && f.TerminalMinor == 0 {
			continue
		}
		path, ok := result.TerminalPath(f.TerminalMajor, f.TerminalMinor, l.tablesOf(f.Session))
		switch {
		case !ok && f.Terminal == nil && result.IsHostTerminal(f.TerminalMajor, f.TerminalMinor) && !l.leads(f.Session):
			// Its session's leader is outside: the shell that has started it.
		case !ok && !refused[f.Session]:
			refused[f.Session] = true
			l.refuse(refusal.List{{
				PID: int(f.Pid), Command: f.Tasks[0].Name, Kind: "controlling terminal",
				Reason: fmt.Sprintf("that of its session %d, device %d:%d, is not the console or a tty that LXC gave the container, or no process of the session has it open", f.Session, f.TerminalMajor, f.TerminalMinor),
				Remedy: "end the session that it belongs to, take it along if that is one of lxc-attach or a shell without LXC (--shell-job), or start the program with setsid",
			}})
		case f.Terminal != nil:
			f.Terminal.Path = path
		}
	}
}

// leads tells whether a process of the container leads a session.
func (l *looking) leads(session uint32) bool {
	return slices.ContainsFunc(l.found, func(p *tasks.Process) bool { return p.Pid == session })
}

// tablesOf are the descriptor tables of the processes in a session.
func (l *looking) tablesOf(session uint32) map[uint32]bool {
	tables := map[uint32]bool{}
	for _, f := range l.found {
		for _, t := range f.Tasks {
			if f.Session == session {
				tables[t.Files] = true
			}
		}
	}
	return tables
}
