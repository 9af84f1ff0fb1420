package kernel

// Trigger is what somebody waits for who has written it into a file of pressure
// (Documentation/accounting/psi.rst; struct psi_trigger, include/linux/psi_types.h).
type Trigger struct {
	Full              bool   // not only some tasks are held up, but all
	Threshold, Window uint64 // ns
}

// Trigger reads that of an open file of /proc/pressure, or of a cgroup; nil: it has
// none. irq says that it is of interrupts, of which there is only the full pressure.
func (m *Memory) Trigger(task uint64, fd uint32, cgroup, irq bool) (*Trigger, error) {
	file, err := m.file(task, fd)
	if err != nil {
		return nil, err
	}
	seq, err := m.word(file, "file", "private_data")
	if err != nil {
		return nil, err
	}
	chain := []string{"seq_file", "private"}
	if cgroup {
		chain = []string{"seq_file", "private", "kernfs_open_file", "priv", "cgroup_file_ctx", "psi.trigger"}
	}
	at, err := m.pointer(seq, chain...)
	if err != nil || at == 0 {
		return nil, err
	}
	state, err := m.number(at, "psi_trigger", "state", 4)
	if err != nil {
		return nil, err
	}
	t := &Trigger{Full: irq || state%2 == 1} // enum psi_states: some and full in turn
	if t.Threshold, err = m.word(at, "psi_trigger", "threshold"); err != nil {
		return nil, err
	}
	t.Window, err = m.word(at, "psi_trigger", "win.size")
	return t, err
}
