package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/spf13/pflag"

	"lxc-checkpoint/container"
	"lxc-checkpoint/internal/cli"
)

// checkpointAll checkpoints every running container of LXC, one after the other,
// each by a run of this command of its own: what becomes of one is nothing to the
// others. One line for each; all are tried, whatever becomes of some.
func checkpointAll(o *options) error {
	ctx, cancel := cli.Context()
	defer cancel()
	if s, err := os.Stat(o.all); err != nil || !s.IsDir() {
		return fmt.Errorf("there is no directory %s: make it first", o.all)
	}
	names, err := container.RunningNames(ctx, o.tool.Common.LXCPath)
	if err != nil {
		return err
	}
	failed := 0
	for _, name := range names {
		file := filepath.Join(o.all, name+".state")
		if err := checkpointOne(ctx, o, name, file); err != nil {
			failed++
			for line := range strings.Lines(strings.TrimSpace(err.Error())) {
				fmt.Fprintf(os.Stderr, "%s: %s: %s\n", o.tool.Name, name, strings.TrimSpace(line))
			}
		} else if !o.tool.Common.Quiet {
			fmt.Printf("%s: %s\n", name, file)
		}
		if ctx.Err() != nil {
			return cli.Why(ctx, context.Cause(ctx))
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d containers could not be checkpointed", failed, len(names))
	}
	return nil
}

// checkpointOne runs this command for one of them.
func checkpointOne(ctx context.Context, o *options, name, file string) error {
	args := []string{"-n", name, "-S", file}
	o.tool.Options.Visit(func(f *pflag.Flag) {
		list, isList := f.Value.(pflag.SliceValue)
		switch {
		case f.Name == "all":
		case isList:
			for _, value := range list.GetSlice() {
				args = append(args, "--"+f.Name+"="+value)
			}
		case f.Value.Type() == "bool": // a switch, which takes no value
			args = append(args, "--"+f.Name)
		default:
			args = append(args, "--"+f.Name+"="+f.Value.String())
		}
	})
	var said bytes.Buffer
	c := exec.CommandContext(ctx, "/proc/self/exe", args...)
	c.Args[0], c.Stderr = os.Args[0], &said
	// It dies with us, and undoes what it was at; a signal that ends us is passed
	// on, and waited for.
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGTERM, Setpgid: true}
	c.Cancel = func() error { return c.Process.Signal(unix.SIGTERM) }
	err := c.Run()
	if err == nil { // what --print-stats tells
		_, err = os.Stderr.Write(said.Bytes())
		return err
	}
	if said.Len() == 0 {
		return err
	}
	return errors.New(strings.ReplaceAll(said.String(), o.tool.Name+": ", ""))
}
