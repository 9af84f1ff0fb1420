// Command lxc-statefile looks into a statefile: shows what is in it, verifies
// it, makes a core for gdb out of a process in it. It knows nothing of
// containers and runs anywhere, for anybody who may read the file.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"lxc-checkpoint/image/reader"
	"lxc-checkpoint/internal/cli"
	"lxc-checkpoint/internal/infile"
)

type options struct {
	tool   *cli.Tool
	json   bool
	output string
	root   string
}

func newOptions() *options {
	o := &options{tool: cli.New("lxc-statefile", "Looks into a statefile that lxc-checkpoint wrote.",
		"show [--json] FILE",
		"verify FILE",
		"core [-o CORE] [--root=DIR] FILE PID")}
	o.tool.Notes = `
show shows what is in it; verify reads everything and checks it; core makes an
ELF core of a process (its PID in the container) that gdb opens. FILE may be
"-" for standard input.

Exit status: 0 done, 1 could not or damaged, 2 wrong usage.`
	f := o.tool.Options
	f.BoolVar(&o.json, "json", false, "show: as one JSON object")
	f.StringVarP(&o.output, "output", "o", "", "core: write it to `CORE` (default core.PID)")
	f.StringVar(&o.root, "root", "", "core: the container's root file system is `DIR`, where files that it had mapped are (default: as the statefile says, or /)")
	o.tool.AddHelp()
	return o
}

func main() {
	o := newOptions()
	done, err := o.tool.Parse(os.Args[1:])
	if err == nil && !done {
		err = run(o)
	}
	os.Exit(o.tool.Exit(err))
}

func run(o *options) error {
	words := o.tool.Operands()
	if len(words) == 0 {
		return cli.Usagef("what shall it do: show, verify or core?")
	}
	command, words := words[0], words[1:]
	usage := map[string]int{"show": 1, "verify": 1, "core": 2}
	wanted, known := usage[command]
	switch {
	case !known:
		return cli.Usagef("there is no command %q: take show, verify or core", command)
	case len(words) == 0:
		return cli.Usagef("%s which statefile? Name it, or - for standard input", command)
	case command == "core" && len(words) == 1:
		return cli.Usagef("core of which process? Its PID goes after the statefile (lxc-statefile show lists them)")
	case len(words) > wanted:
		return cli.Usagef("what is %q for? %s takes no more", words[wanted], command)
	case o.json && command != "show":
		return cli.Usagef("--json goes with show only")
	case command != "core" && (o.tool.Given("output") || o.tool.Given("root")):
		return cli.Usagef("-o and --root go with core only")
	}
	var pid uint64
	if command == "core" {
		var err error
		if pid, err = strconv.ParseUint(words[1], 10, 32); err != nil || pid == 0 {
			return cli.Usagef("%q is no PID", words[1])
		}
	}
	ctx, cancel := cli.Context()
	defer cancel()
	err := with(ctx, words[0], func(img *reader.Reader) error {
		switch command {
		case "show":
			return show(ctx, img, words[0], o.json)
		case "verify":
			return verify(ctx, img)
		}
		return core(ctx, img, uint32(pid), o)
	})
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, context.Canceled) {
		return cause
	}
	return err
}

// with opens a statefile, and has each error about it begin with its name.
func with(ctx context.Context, name string, do func(*reader.Reader) error) error {
	in, err := open(ctx, name)
	if err != nil {
		return err
	}
	defer in.Close()
	if name == "-" {
		name = "standard input"
	}
	img, err := reader.New(in.Reader())
	if err == nil {
		defer img.Close()
		err = do(img)
	}
	var wrong *outputError
	if err != nil && !errors.As(err, &wrong) {
		return fmt.Errorf("%s: %w", name, err)
	}
	return err
}

// outputError is one that is not the statefile's fault.
type outputError struct{ error }

func (e *outputError) Unwrap() error { return e.error }

func open(ctx context.Context, name string) (*infile.Input, error) {
	const stall = 24 * time.Hour // a person may be behind the pipe
	if name == "-" {
		if err := cli.Inherited(0); err != nil {
			return nil, err
		}
		return infile.Use(ctx, 0, stall)
	}
	if st, err := os.Stat(name); err == nil && !st.Mode().IsRegular() && !st.IsDir() {
		f, err := os.Open(name) // a FIFO, a device: >(...), /dev/stdin
		if err != nil {
			return nil, err
		}
		return infile.Use(ctx, int(f.Fd()), stall)
	}
	return infile.Open(name)
}

// verify reads everything.
func verify(ctx context.Context, img *reader.Reader) error {
	if _, err := img.Skeleton(); err != nil {
		return err
	}
	return img.Contents(ctx, workers(), func(uint32, uint64, []byte) error { return nil })
}
