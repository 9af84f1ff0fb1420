package restorer

import (
	"errors"
	"fmt"
	"runtime"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/restorer/memory"
	"lxc-checkpoint/restorer/stub"
)

// Plan is what a restart will do, worked out from the image alone: it touches
// no kernel.
type Plan struct {
	Skeleton *format.Skeleton
	Root     *format.Process
	// Steps make the tree of processes, in order.
	Steps []Step
	// Groups puts processes into their process groups, after all Steps.
	Groups []Join
	// Helpers are processes that exist only while the tree is being built, in
	// the order in which they can end.
	Helpers []Helper
	// Pours gives pages to processes before they fork, in order.
	Pours []Pour
	// Pieces are what lies in each Mm, by its id, when all forks are made.
	Pieces map[uint32][]memory.Piece
	// Area is where the restart's own memory lies in every address space.
	Area stub.Area
	// Highest is the highest descriptor number in any table.
	Highest int
	// OutsideSession and OutsideGroup are ids of the root's session and group
	// whose leader is no process of the image: taken as the stage gives them.
	OutsideSession, OutsideGroup uint32
	// Pids are the numbers of all in the pid namespaces that they are in.
	Pids *pids
}

// Step is one of: a fork, or a setsid.
type Step struct {
	Kind StepKind
	PID  uint32 // who is made, or calls setsid
	By   uint32 // Fork: who makes it
	// Sibling makes it a child of By's parent (CLONE_PARENT): so a process can
	// be born into a session that its parent is not in.
	Sibling bool
	// Adopter, of EndHelper, gets the helper's child.
	Adopter uint32
	// Share are the CLONE_VM, CLONE_FILES, CLONE_FS, CLONE_SIGHAND of the fork.
	Share uint64
	// Between is a helper that stands in for By, who must not do what is needed
	// to make it: enter the process group Group (0: none), or another user
	// namespace. It ends at once. 0: there is none.
	Between, Group uint32
}

// StepKind tells the steps apart.
type StepKind int

const (
	Fork StepKind = iota
	Setsid
	// Lead makes a process group of the process's number, while it is still known
	// to who is to be in it.
	Lead
	// EndHelper ends a helper at this point, so that its child is adopted. By is
	// its parent.
	EndHelper
)

// Join is a setpgid(PID, Group).
type Join struct{ PID, Group uint32 }

// Helper is a process that is not in the image, and who waits for its end.
type Helper struct{ PID, Parent uint32 }

// NewPlan works out how to make what the image holds, or says what of it can't
// be made, all of it.
func NewPlan(s *format.Skeleton) (*Plan, error) {
	if s.Header.Architecture != runtime.GOARCH {
		return nil, fmt.Errorf("the statefile is of a %s host and this one is %s: restart it on a host of its own kind", s.Header.Architecture, runtime.GOARCH)
	}
	p := &Plan{Skeleton: s, Root: s.Process(s.Container.RootPid)}
	if p.Root == nil {
		return nil, fmt.Errorf("the statefile has no process %d, which it names as the container's first", s.Container.RootPid)
	}
	if p.Root.State == format.ProcessState_ZOMBIE {
		return nil, fmt.Errorf("the container's first process %d had ended already", p.Root.Pid)
	}
	for _, f := range s.Files {
		for _, d := range f.Descriptors {
			p.Highest = max(p.Highest, int(d.Number))
		}
	}
	p.findOutside()
	p.Pids = newPids(s, p.Root)
	tree := newTreePlanner(p).run()
	area, noArea := findArea(s.Mms, highestArea(s))
	errs := []error{tree, p.checkDeathSignals(), noArea}
	if tree == nil { // the others need it
		errs = append(errs, p.checkSharing(), p.inherit())
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	p.Area = area
	return p, nil
}

// checkDeathSignals refuses children that would hear of the end of their
// parent's first thread once more: it made them here, and ends again when all
// is let go (forget_original_parent, kernel/exit.c).
func (p *Plan) checkDeathSignals() error {
	for _, c := range p.Skeleton.Processes {
		parent := p.Skeleton.Process(c.Parent)
		if c.State == format.ProcessState_ZOMBIE || parent == nil || parent.State == format.ProcessState_ZOMBIE || !parent.Tasks[0].Ended {
			continue
		}
		for _, k := range c.Tasks {
			if k.ParentDeathSignal != 0 {
				return fmt.Errorf("task %d (%s) is to get signal %d when its parent dies (PR_SET_PDEATHSIG), and the first thread of that, process %d (%s), has ended, which a restart repeats",
					k.Tid, k.Name, k.ParentDeathSignal, parent.Pid, name(parent))
			}
		}
	}
	return nil
}

// CheckPlan tells whether a restart could be planned. It is pure.
func CheckPlan(s *format.Skeleton) error {
	_, err := NewPlan(s)
	return err
}

// findOutside notes the root's session and group if their leader is not in the
// image: they came from whoever started the root.
func (p *Plan) findOutside() {
	if s := p.Root.Session; s != p.Root.Pid && p.Skeleton.Process(s) == nil {
		p.OutsideSession = s
	}
	if g := p.Root.Group; g != p.Root.Pid && p.Skeleton.Process(g) == nil {
		p.OutsideGroup = g
	}
}
