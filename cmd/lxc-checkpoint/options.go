package main

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"lxc-checkpoint/dumper"
	"lxc-checkpoint/internal/cli"
	"lxc-checkpoint/internal/heir"
	"lxc-checkpoint/restorer"
)

type options struct {
	heir       *heir.Testator // nil: nobody puts back what we can't
	tool       *cli.Tool
	lost       []string // what a restart will not bring back
	statefile  string
	statefd    cli.Number
	kill       bool
	pause      bool
	check      bool
	json       bool
	cgroup     string
	pid        cli.Number
	timeout    cli.Seconds
	printStats bool
	noBPF      bool
	tcpRefuse  bool
	shellJob   bool
	maxDeleted cli.Size
	external   []string
	restarted  bool // the look has come so far that a restart was thought through

	actionScript string
	all          string
}

func newOptions() *options {
	o := &options{
		tool: cli.New("lxc-checkpoint", "Writes the state of a running container into a statefile, from which lxc-restart makes it again.",
			"-n NAME {-S FILE | -d FD} [-k | -p] [OPTION...]",
			"{--cgroup=PATH | --pid=PID} {-S FILE | -d FD} [-k | -p] [OPTION...]",
			"--all=DIRECTORY [-k | -p] [OPTION...]",
			"{-n NAME | --cgroup=PATH | --pid=PID} --check [--json] [OPTION...]"),
		statefd:    cli.Number{N: -1, Word: "FD"},
		pid:        cli.Number{N: 0, Min: 1, Word: "PID"},
		timeout:    cli.Seconds{Duration: 10 * time.Second},
		maxDeleted: 64 << 20,
	}
	o.tool.Notes = `
Without -k and -p the container goes on after the checkpoint. If the
checkpoint fails, it goes on as before in any case.

Exit status: 0 done, 1 could not, 2 wrong usage.`
	f := o.tool.Options
	f.StringVarP(&o.tool.Common.Name, "name", "n", "", "the container, by its `NAME`")
	f.StringVarP(&o.statefile, "statefile", "S", "", "write its state to `FILE`")
	f.VarP(&o.statefd, "statefd", "d", "write its state to the open descriptor `FD`")
	f.BoolVarP(&o.kill, "kill", "k", false, "kill the container once the checkpoint is complete")
	f.BoolVarP(&o.pause, "pause", "p", false, "leave the container frozen (lxc-unfreeze lets it go on)")
	f.BoolVar(&o.check, "check", false, "only tell whether a checkpoint would work, and what is in its way")
	f.BoolVar(&o.json, "json", false, "with --check: tell it as JSON")
	f.StringVar(&o.all, "all", "", "checkpoint every running container of LXC to a file in `DIRECTORY`")
	f.StringVarP(&o.actionScript, "action-script", "A", "", "run `CMD` at each step (see the man page); if it fails, so does the checkpoint")
	f.StringVar(&o.cgroup, "cgroup", "", "without LXC: the processes in the cgroup `PATH`")
	f.Var(&o.pid, "pid", "without LXC: process `PID` and its descendants, in their cgroup")
	f.Var(&o.timeout, "timeout", "wait at most `SECONDS` for the container's tasks to stop (default 10)")
	f.Var(&o.maxDeleted, "max-deleted", "keep removed files that hold at most `SIZE` bytes, as 100M (default 64M; 0: any)")
	f.BoolVar(&o.printStats, "print-stats", false, "write figures of the checkpoint to stderr, as JSON")
	f.BoolVar(&o.shellJob, "shell-job", false, "take along what lxc-attach has put into the container, with its terminals")
	f.BoolVar(&o.tcpRefuse, "tcp-refuse", false, "refuse to checkpoint TCP connections")
	f.StringArrayVar(&o.external, "external", nil, "save pipe:[INODE], socket:[INODE] or mount:PLACE from outside by its `NAME`")
	f.BoolVar(&o.noBPF, "no-bpf", false, "load no eBPF program: have the tasks tell everything themselves")
	o.tool.AddCommon(true)
	return o
}

// isExternalName says whether a name is how the kernel names pipes and sockets,
// pipe:[INODE], or says where a mount is, mount:/PLACE.
func isExternalName(name string) bool {
	kind, rest, _ := strings.Cut(name, ":")
	switch kind {
	case "mount":
		return len(rest) > 1 && rest[0] == '/'
	case "pipe", "socket":
		inode, open := strings.CutPrefix(rest, "[")
		inode, closed := strings.CutSuffix(inode, "]")
		_, err := strconv.ParseUint(inode, 10, 64)
		return open && closed && err == nil
	}
	return false
}

// parse parses the command line and checks that the options go together. done
// says that help was shown.
func (o *options) parse(args []string) (done bool, err error) {
	done, err = o.tool.Parse(args)
	if done || err != nil {
		return done, err
	}
	given := o.tool.Given
	targets := 0
	for _, option := range []string{"name", "cgroup", "pid", "all"} {
		if given(option) {
			targets++
		}
	}
	operands := o.tool.Operands()
	if targets == 0 && len(operands) > 0 { // LXC's commands take the name so, too
		o.tool.Common.Name, operands = operands[0], operands[1:]
		targets = 1
	}
	switch {
	case targets == 0:
		return false, cli.Usagef("which container? Name it with -n NAME")
	case targets > 1:
		return false, cli.Usagef("-n, --all, --cgroup and --pid exclude each other: one target is checkpointed at a time")
	case len(operands) > 0:
		return false, cli.Usagef("what is %q for? There is nothing but options to give", operands[0])
	case given("all") && (given("statefile") || given("statefd") || o.check):
		return false, cli.Usagef("--all writes to files in its directory: leave out -S, -d and --check")
	case !given("all") && !given("cgroup") && !given("pid") && o.tool.Common.Name == "":
		return false, cli.Usagef("which container? The name after -n is empty")
	case given("lxcpath") && (given("cgroup") || given("pid")):
		return false, cli.Usagef("-P goes with -n only: --cgroup and --pid do not ask LXC")
	case slices.ContainsFunc(o.external, func(n string) bool { return !isExternalName(n) }):
		return false, cli.Usagef("--external takes the name of a pipe or UNIX socket as /proc/PID/fd has it, pipe:[INODE] or socket:[INODE], or mount: and a place in the container where something is mounted, and not %q", o.external)
	case o.json && !o.check:
		return false, cli.Usagef("--json goes with --check only")
	case o.check && (given("statefile") || given("statefd")):
		return false, cli.Usagef("--check writes no state: leave out -S and -d")
	case o.check && (o.kill || o.pause):
		return false, cli.Usagef("--check lets the container go on: leave out -k and -p")
	case o.check && given("action-script"):
		return false, cli.Usagef("--check runs no action script: leave out -A")
	case o.check:
		return false, nil
	case given("statefile") && given("statefd"):
		return false, cli.Usagef("-S and -d exclude each other: the state is written to one place")
	case !given("all") && !given("statefile") && !given("statefd"):
		return false, cli.Usagef("where to? Name a file with -S FILE, or an open descriptor with -d FD")
	case o.kill && o.pause:
		return false, cli.Usagef("-k and -p exclude each other: what is killed cannot be left frozen")
	}
	return false, nil
}

// dumper are the options that a checkpoint and a look have in common.
func (o *options) dumper() dumper.Options {
	var files, mounts []string
	for _, name := range o.external {
		if place, ok := strings.CutPrefix(name, "mount:"); ok {
			mounts = append(mounts, place)
		} else {
			files = append(files, name)
		}
	}
	return dumper.Options{
		Timeout: o.timeout.Duration, Tool: cli.Version, Log: o.tool.Log,
		WithoutBPF: o.noBPF, RefuseTCP: o.tcpRefuse, ShellJob: o.shellJob, MaxDeleted: uint64(o.maxDeleted),
		External: files, ExternalMounts: mounts, Heir: o.heir,
		Lost: o.noteLost,
		// What no host could restart is not saved.
		Check: restorer.CheckPlan, Forks: restorer.Forks,
	}
}

func (o *options) after() dumper.After {
	switch {
	case o.kill:
		return dumper.Kill
	case o.pause:
		return dumper.Pause
	}
	return dumper.Continue
}
