package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"lxc-checkpoint/internal/cli"
)

type options struct {
	tool         *cli.Tool
	statefile    string
	statefd      cli.Number
	pause        bool
	native       bool
	cgroup       string
	timeout      cli.Seconds
	printStats   bool
	allowChanged bool
	tcpClose     bool
	asCopy       bool
	rcfile       string
	define       []string
	actionScript string
	check        bool
	json         bool
	shellJob     bool
	job          *job // of --shell-job with --native
	external     []string
	veth         []string
}

func newOptions() *options {
	o := &options{
		tool: cli.New("lxc-restart", "Makes a container again from a statefile that lxc-checkpoint wrote; it goes on where it stopped.",
			"-n NAME {-S FILE | -d FD} [-p] [OPTION...]",
			"--native -n NAME {-S FILE | -d FD} [--cgroup=PATH] [-p] [OPTION...]",
			"--check [--json] {-n NAME | --native} {-S FILE | -d FD} [OPTION...]"),
		statefd: cli.Number{N: -1, Word: "FD"},
		timeout: cli.Seconds{Duration: 10 * time.Second},
	}
	o.tool.Notes = `
The container must not run: lxc-restart starts it, with its own config and
root file system, and returns when it runs (with -p: when it stands frozen).
From a descriptor, it may still be running while lxc-checkpoint -k writes:

    lxc-checkpoint -n c1 -d 1 -k | lxc-restart -n c1 -d 0

Exit status: 0 done, 1 could not, 2 wrong usage.`
	f := o.tool.Options
	f.StringVarP(&o.tool.Common.Name, "name", "n", "", "the container, by its `NAME`")
	f.StringVarP(&o.statefile, "statefile", "S", "", "read its state from `FILE`")
	f.VarP(&o.statefd, "statefd", "d", "read its state from the open descriptor `FD`")
	f.BoolVarP(&o.pause, "pause", "p", false, "leave it frozen (lxc-unfreeze lets it go on)")
	f.BoolVar(&o.check, "check", false, "only tell whether a restart on this host would work, and what is in its way")
	f.BoolVar(&o.json, "json", false, "with --check: tell it as JSON")
	f.BoolVar(&o.native, "native", false, "without LXC, from the statefile alone")
	f.StringVar(&o.cgroup, "cgroup", "", "native: put it into the cgroup `PATH` (default lxc-checkpoint/NAME)")
	f.BoolVar(&o.allowChanged, "allow-changed", false, "go on with files that have changed since the checkpoint")
	f.StringArrayVar(&o.external, "external", nil, "what was saved by its name only is now PATH, or descriptor N: `NAME=PATH|NAME=fd:N`")
	f.StringArrayVar(&o.veth, "veth", nil, "its network interface NAME hangs on this host's BRIDGE: `NAME=BRIDGE`")
	f.BoolVar(&o.tcpClose, "tcp-close", false, "end its TCP connections: programs hear of a reset (ECONNRESET)")
	f.BoolVar(&o.shellJob, "shell-job", false, "join your terminal to that of a session that lxc-attach had put in")
	f.BoolVar(&o.asCopy, "as-copy", false, "beside the container of the statefile: with host name and network of its own")
	f.StringVarP(&o.rcfile, "rcfile", "f", "", "start it with the config `FILE` in place of its own")
	f.StringArrayVarP(&o.define, "define", "s", nil, "start it with the config item `KEY=VALUE`, too")
	f.StringVarP(&o.actionScript, "action-script", "A", "", "run `CMD` at each step (see the man page); if it fails, so does the restart")
	f.Var(&o.timeout, "timeout", "wait at most `SECONDS` for each of its tasks (default 10)")
	f.BoolVar(&o.printStats, "print-stats", false, "write figures of the restart to stderr, as JSON")
	o.tool.AddCommon(true)
	return o
}

// parse parses the command line and checks that the options go together. done
// says that help was shown.
func (o *options) parse(args []string) (done bool, err error) {
	done, err = o.tool.Parse(args)
	if done || err != nil {
		return done, err
	}
	given := o.tool.Given
	operands := o.tool.Operands()
	if !given("name") && len(operands) > 0 { // LXC's commands take the name so, too
		o.tool.Common.Name, operands = operands[0], operands[1:]
	}
	switch {
	case o.tool.Common.Name == "" && !(o.check && o.native):
		return false, cli.Usagef("which container? Name it with -n NAME")
	case len(operands) > 0:
		return false, cli.Usagef("what is %q for? There is nothing but options to give", operands[0])
	case given("statefile") && given("statefd"):
		return false, cli.Usagef("-S and -d exclude each other: the state is read from one place")
	case !given("statefile") && !given("statefd"):
		return false, cli.Usagef("where from? Name a file with -S FILE, or an open descriptor with -d FD")
	case slices.ContainsFunc(o.external, func(e string) bool { name, to, ok := strings.Cut(e, "="); return !ok || name == "" || to == "" }):
		return false, cli.Usagef("--external takes NAME=PATH or NAME=fd:N, and not %q", o.external)
	case slices.ContainsFunc(o.external, func(e string) bool {
		name, to, _ := strings.Cut(e, "=")
		return isMount(name) && strings.HasPrefix(to, "fd:")
	}):
		return false, cli.Usagef("--external mount:DIRECTORY takes a directory or file of this host, and no descriptor: %q", o.external)
	case slices.ContainsFunc(o.veth, func(e string) bool { name, to, _ := strings.Cut(e, "="); return badLink(name) || badLink(to) }):
		return false, cli.Usagef("--veth takes NAME=BRIDGE, an interface of the container and one of this host, and not %q", o.veth)
	case o.json && !o.check:
		return false, cli.Usagef("--json goes with --check only")
	case o.check && o.pause:
		return false, cli.Usagef("--check makes no container: leave out -p")
	case o.shellJob && !cli.IsTerminal(0):
		return false, cli.Usagef("--shell-job joins the terminal on standard input, which is none")
	case o.native && given("lxcpath"):
		return false, cli.Usagef("-P does not go with --native, which does not ask LXC")
	case o.native && (given("rcfile") || given("define")):
		return false, cli.Usagef("-f and -s do not go with --native: they are for LXC")
	case o.native && o.asCopy:
		return false, cli.Usagef("--as-copy does not go with --native: LXC gives the copy its root file system")
	case slices.ContainsFunc(o.define, func(d string) bool { return !strings.Contains(d, "=") }):
		return false, cli.Usagef("-s takes KEY=VALUE, as the lines of a container's config are")
	case o.check && given("action-script"):
		return false, cli.Usagef("--check runs no action script: leave out -A")
	case !o.native && given("cgroup"):
		return false, cli.Usagef("--cgroup goes with --native only: LXC gives its containers their cgroups")
	}
	return false, nil
}

// isMount tells names of mounts from those of pipes and sockets.
func isMount(name string) bool { return strings.HasPrefix(name, "mount:") }

// badLink tells what is no name of a network interface.
func badLink(name string) bool {
	return name == "" || len(name) > 15 || name == "." || name == ".." || strings.ContainsAny(name, "/: \t\n=")
}

// inherited sees that the descriptors that --external names are open.
func (o *options) inherited() error {
	for _, e := range o.external {
		_, to, _ := strings.Cut(e, "=")
		number, ok := strings.CutPrefix(to, "fd:")
		if !ok {
			continue
		}
		n, err := strconv.Atoi(number)
		if err != nil || n < 0 {
			return cli.Usagef("--external %s: %q is no number of a descriptor", e, number)
		}
		if err := cli.Inherited(n); err != nil {
			return fmt.Errorf("--external %s: %w", e, err)
		}
	}
	return nil
}
