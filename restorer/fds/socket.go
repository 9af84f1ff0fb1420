package fds

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"
	"lxc-checkpoint/tracee"
)

// makeSockets creates all sockets of the image, neither bound nor otherwise set
// up, as descriptors of ours in file.fd.
//
// The container's first process creates them: so they are of the container's
// network namespace and security label. What is done to a socket later acts on
// these, whoever does it, and is done by us.
//
// An IP socket belongs for ever to the v2 cgroup that its maker was in: it is the
// one whose BPF programs see its packets. So the first process goes there, and back
// into its own: it may not stay in one that has given controllers to those below.
func (r *Restart) makeSockets(ctx context.Context) error {
	type place struct {
		cgroup  string
		network uint32
	}
	of, places := r.socketCgroups(), map[place][]*file{}
	home := cgroup2Of(r.skeleton.Process(r.skeleton.Container.GetRootPid()))
	for _, f := range r.files {
		if f.kind.socket == nil {
			continue
		}
		where := home
		// No packets of the network come to the others.
		if f.GetUnixSocket() == nil && f.GetNetlinkSocket() == nil && r.EnterCgroup != nil {
			where = cmp.Or(of[f.Id], where)
		}
		at := place{where, f.Network}
		places[at] = append(places[at], f)
	}
	for at, files := range places {
		where := at.cgroup
		if where != home {
			if err := r.EnterCgroup(where); err != nil {
				return fmt.Errorf("the first process into cgroup %s, to create sockets there: %w", where, err)
			}
		}
		err := r.inNetwork(at.network, func() error { return r.makeSocketsOf(ctx, files) })
		if where != home {
			err = errors.Join(err, r.EnterCgroup(home))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// inNetwork has the first process go into a network namespace of the container for a
// while; 0 is its own.
func (r *Restart) inNetwork(id uint32, f func() error) error {
	if id == 0 {
		return f()
	}
	own, err := unix.Open(fmt.Sprintf("/proc/%d/ns/net", r.root.PID()), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(own)
	other, err := r.Namespace(id)
	if err != nil {
		return err
	}
	sent, err := r.root.Send([]int{other, own})
	if err != nil {
		return err
	}
	enter := func(fd int) error {
		_, err := r.root.Call(unix.SYS_SETNS, uint64(fd), unix.CLONE_NEWNET)
		_, e := r.root.Call(unix.SYS_CLOSE, uint64(fd))
		return errors.Join(err, e)
	}
	if err := enter(sent[0]); err != nil {
		return fmt.Errorf("the first process into a network namespace, to create sockets there: %w", err)
	}
	err = f()
	return errors.Join(err, enter(sent[1]))
}

// socketCgroups are the v2 cgroups of the first processes that have the open
// files: who made a socket, mostly.
func (r *Restart) socketCgroups() map[uint32]string {
	of := map[uint32]string{}
	seen := map[uint32]bool{} // tables
	for _, p := range r.skeleton.Processes {
		where := cgroup2Of(p)
		for _, t := range p.Tasks {
			if seen[t.Files] {
				continue
			}
			seen[t.Files] = true
			for _, d := range r.skeleton.FilesByID(t.Files).GetDescriptors() {
				if _, known := of[d.OpenFile]; !known {
					of[d.OpenFile] = where
				}
			}
		}
	}
	return of
}

// cgroup2Of is the v2 cgroup of a process, "/" the container's own.
func cgroup2Of(p *format.Process) string {
	for _, c := range p.GetCgroups() {
		if c.Controllers == "" && c.Path != "" {
			return c.Path
		}
	}
	return "/"
}

func (r *Restart) makeSocketsOf(ctx context.Context, all []*file) error {
	const atOnce = 256 // so many more descriptors does the first process have for a moment
	var files []*file
	var calls []tracee.Call
	flush := func() error {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("create the sockets: %w", err)
		}
		err := r.createSockets(files, calls)
		files, calls = nil, nil
		return err
	}
	for _, f := range all {
		family, typ, protocol, err := f.kind.socket(r, f)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name(f), err)
		}
		if family == 0 {
			continue
		}
		files = append(files, f)
		calls = append(calls, tracee.Call{Nr: unix.SYS_SOCKET, Args: [6]uint64{uint64(family), uint64(typ) | unix.SOCK_CLOEXEC, uint64(protocol)}})
		if len(calls) == atOnce {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if len(calls) == 0 {
		return nil
	}
	return flush()
}

// createSockets runs one call of socket(2) for each file, takes the sockets,
// and closes them where they were created.
func (r *Restart) createSockets(files []*file, calls []tracee.Call) error {
	if err := r.root.Run(calls); err != nil {
		return fmt.Errorf("create sockets in the container: %w", err)
	}
	var end []tracee.Call
	var failed error
	for i, f := range files {
		fd := calls[i].Result
		if err := calls[i].Err(); err != nil {
			failed = fmt.Errorf("%s: create it: %w", r.name(f), err)
			continue
		}
		end = append(end, tracee.Call{Nr: unix.SYS_CLOSE, Args: [6]uint64{uint64(fd)}})
		var err error
		if f.fd, err = r.root.Take(int(fd)); err != nil {
			f.fd = -1
			failed = fmt.Errorf("%s: take it out of the container's first process: %w", r.name(f), err)
		}
	}
	if err := r.root.Run(end); err != nil && failed == nil {
		failed = fmt.Errorf("close sockets in the container's first process: %w", err)
	}
	return failed
}

// setOptions sets a socket's options in the order of the image. The size of a
// buffer is the value to set: the kernel doubles it (socket(7)).
//
// Whatever the order, a filter is locked last (SO_LOCK_FILTER): nothing can be
// attached then.
func setOptions(fd int, options []*format.SocketOption) error {
	var lock *format.SocketOption
	for _, o := range options {
		if o.Level == unix.SOL_SOCKET && o.Name == unix.SO_LOCK_FILTER {
			lock = o
			continue
		}
		if err := setOption(fd, int(o.Level), int(o.Name), o.Value); err != nil {
			return fmt.Errorf("set option %d of level %d to % x: %w", o.Name, o.Level, o.Value, err)
		}
	}
	if lock != nil {
		return setOption(fd, unix.SOL_SOCKET, unix.SO_LOCK_FILTER, lock.Value)
	}
	return nil
}

func setOption(fd, level, name int, value []byte) error {
	if len(value) == 0 {
		return unix.EINVAL
	}
	if level == unix.SOL_SOCKET && name == unix.SO_ATTACH_FILTER {
		return sys.AttachFilter(fd, value)
	}
	// A program with CAP_NET_ADMIN could set more than net.core.rmem_max.
	force := map[int]int{unix.SO_SNDBUF: unix.SO_SNDBUFFORCE, unix.SO_RCVBUF: unix.SO_RCVBUFFORCE}
	if f := force[name]; level == unix.SOL_SOCKET && f != 0 && unix.SetsockoptString(fd, level, f, string(value)) == nil {
		return nil
	}
	return unix.SetsockoptString(fd, level, name, string(value))
}
