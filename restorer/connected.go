package restorer

import (
	"slices"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"
	"lxc-checkpoint/restorer/stub"
)

// connected has a connect(2) that the checkpoint interrupted return 0 if its
// connection was there already, only the task had not run since. Issued again, it
// would fail: the kernel returns 0 once, from SS_CONNECTING to SS_CONNECTED, and
// EISCONN from then on (__inet_stream_connect, net/ipv4/af_inet.c, Linux 6.18). A
// socket that is made a connection in repair mode is SS_CONNECTED. ok says that
// the task is not in the call any more. It is for a task whose registers are loaded.
func (r *restart) connected(t *stub.Task, k *format.Task) (ok bool, err error) {
	regs, err := t.Thread.Registers()
	if err != nil {
		return false, err
	}
	fd, connects, err := regs.Connects(int64(k.SystemCallPlusOne)-1, t.Read)
	if err != nil || !connects || !isConnection(r.plan.Skeleton, k.Files, fd) {
		return false, err
	}
	regs.Skip(0)
	return true, t.Thread.SetRegisters(regs)
}

// isConnection says whether a descriptor is of a TCP connection that has been made.
func isConnection(s *format.Skeleton, table, fd uint32) bool {
	all := s.FilesByID(table).GetDescriptors()
	d := slices.IndexFunc(all, func(d *format.Descriptor) bool { return d.Number == fd })
	if d < 0 {
		return false
	}
	c := s.OpenFile(all[d].OpenFile).GetTcpConnection()
	return c != nil && c.State != sys.TCPSynSent && c.State != sys.TCPClose
}
