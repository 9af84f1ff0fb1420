package restorer

import (
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
)

// Session is one of the container at whose terminal nobody sits. Whoever has it
// closes its files.
type Session struct {
	Master *os.File // of its terminal, which hangs up when this is closed
	Leader *os.File // a pidfd of its leader; nil if it had none any more
}

// hasOutsideTerminal tells whether the container had a terminal whose master was
// outside.
func hasOutsideTerminal(s *format.Skeleton) bool { return slices.ContainsFunc(s.OpenFiles, isOutside) }

func isOutside(f *format.OpenFile) bool { return f.GetPtyMaster().GetOutside() }

// join gives the first of those terminals to who wants it. The others hang up
// when undo closes them, as all do when whoever sat at them is gone.
func (r *restart) join() {
	if r.opts.Join == nil {
		return
	}
	session := Session{Master: r.files.Outside[0]}
	r.files.Outside = r.files.Outside[1:]
	s := r.plan.Skeleton
	first := s.OpenFiles[slices.IndexFunc(s.OpenFiles, isOutside)].GetPtyMaster()
	for _, p := range s.Processes {
		if t := r.leaders[p.Pid]; t != nil && p.Pid == p.Session && p.Terminal.GetPath() == first.Slave() {
			if fd, err := unix.PidfdOpen(t.PID(), 0); err == nil {
				session.Leader = os.NewFile(uintptr(fd), "the session's leader")
			}
		}
	}
	r.opts.Join(session)
}
