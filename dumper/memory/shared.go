package memory

import (
	"lxc-checkpoint/dumper/view"
)

// addObject announces an inode that has no path, with its bytes.
func (m *Memory) addObject(o *view.Object) {
	m.Shared = append(m.Shared, o.Message)
	s := source{owner: o.Message.Id, pid: o.PID, shared: o.Path}
	for _, e := range o.Extents {
		s.extents = append(s.extents, extent{start: e.Start, length: e.Length})
	}
	m.add(s)
}
