package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"lxc-checkpoint/container"
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/image/reader"
	"lxc-checkpoint/internal/action"
	"lxc-checkpoint/internal/infile"
	"lxc-checkpoint/refusal"
	"lxc-checkpoint/restorer"
)

// errObstacles is for the exit status when the report has said it all.
var errObstacles = errors.New("a restart would not work")

// check tells whether a restart on this host would work, and makes nothing.
func check(ctx context.Context, o *options, in *infile.Input) error {
	s, damage := readAll(ctx, in)
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	list := damage
	if s != nil {
		list = append(list, restorer.Check(ctx, s, restorer.Checked{Options: o.restorer()})...)
		list = append(list, restorer.CheckFree(s)...)
	}
	err := list.Err()
	if err != nil && !o.json {
		return err
	}
	r := refusal.NewReport(what(o), err)
	if err == nil {
		r.Processes = len(s.Processes)
		for _, p := range s.Processes {
			r.Tasks += len(p.Tasks)
		}
	}
	if o.json {
		if e := r.Write(os.Stdout); e != nil {
			return e
		}
		if err != nil {
			return errObstacles
		}
		return nil
	}
	if !o.tool.Common.Quiet {
		fmt.Printf("%s: a restart would work: %d processes, %d threads\n", r.Container, r.Processes, r.Tasks)
	}
	return nil
}

// readAll reads and checks the whole statefile, to its end: it may be longer
// than it was, or cut, or somebody may wait until we have read it. The skeleton
// is nil if it can't be read.
func readAll(ctx context.Context, in *infile.Input) (*format.Skeleton, refusal.List) {
	img, err := reader.New(in.Reader())
	if err != nil {
		return nil, unreadable(in, err)
	}
	defer img.Close()
	s, err := img.Skeleton()
	if err != nil {
		return nil, unreadable(in, err)
	}
	err = img.Contents(ctx, runtime.NumCPU(), func(uint32, uint64, []byte) error { return nil })
	if err != nil {
		return s, unreadable(in, err)
	}
	return s, nil
}

// unreadable is what is the matter with a statefile.
func unreadable(in *infile.Input, err error) refusal.List {
	remedy := "take another copy of it (lxc-statefile verify tells whether that is whole), or make another checkpoint"
	if version := (*reader.VersionError)(nil); errors.As(err, &version) {
		remedy = "" // it says what to do
	}
	return refusal.List{{Object: "statefile " + in.String(), Reason: err.Error(), Remedy: remedy}}
}

func what(o *options) string {
	if name := o.tool.Common.Name; name != "" {
		return "container " + name
	}
	return "native restart"
}

// restorer are the options of a restart and of a check.
func (o *options) restorer() restorer.Options {
	external := map[string]string{}
	for _, e := range o.external {
		name, to, _ := strings.Cut(e, "=")
		if isMount(name) {
			if absolute, err := filepath.Abs(to); err == nil {
				to = absolute
			}
		}
		external[name] = to
	}
	veth := map[string]string{}
	for _, v := range o.veth {
		name, bridge, _ := strings.Cut(v, "=")
		veth[name] = bridge
	}
	if o.shellJob && o.native {
		if name, err := os.Readlink("/proc/self/fd/0"); err == nil {
			external["tty"] = name
		}
	}
	return restorer.Options{
		External: external, Veth: veth,
		Name: o.tool.Common.Name, LXCPath: o.tool.Common.LXCPath,
		Native: o.native, Cgroup: o.cgroup, Pause: o.pause, AllowChanged: o.allowChanged, CloseTCP: o.tcpClose,
		Config: container.Overrides{File: o.rcfile, Define: o.define}, AsCopy: o.asCopy,
		Actions: &action.Script{Path: o.actionScript, Container: o.tool.Common.Name, LXCPath: o.lxcpath(), Log: o.tool.Log},
		Timeout: o.timeout.Duration, Log: o.tool.Log,
	}
}

// lxcpath is the directory of LXC's containers; empty without LXC.
func (o *options) lxcpath() string {
	switch path := o.tool.Common.LXCPath; {
	case o.native:
		return ""
	case path != "":
		return path
	}
	return container.DefaultLXCPath()
}
