// Package cli is what our commands have in common: options spelled as
// getopt_long(3) and the commands of LXC take them, the log file, messages,
// and exit codes.
package cli

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/pflag"
)

// Version of the tools. The build sets it (-ldflags -X).
var Version = "0.1.0"

// Exit codes.
const (
	Done     = 0
	CouldNot = 1
	Wrong    = 2 // usage
)

// A Tool is one of our commands.
type Tool struct {
	Name    string // "lxc-checkpoint"
	Summary string // a sentence
	Usage   []string
	Notes   string // what the long help says after the options
	Options *pflag.FlagSet

	Common Common
	Log    *slog.Logger // set by Parse; never nil

	operands []string
	logFile  io.Closer
}

// Common are the options that every command of LXC has.
type Common struct {
	Name, LXCPath, LogFile, Priority string
	Quiet                            bool

	help, usage, version bool
}

// New makes a command. The caller adds its own options to Options, and then
// the common ones with AddCommon.
func New(name, summary string, usage ...string) *Tool {
	t := &Tool{
		Name: name, Summary: summary, Usage: usage,
		Options: pflag.NewFlagSet(name, pflag.ContinueOnError),
		Log:     slog.New(slog.DiscardHandler),
	}
	t.Options.SortFlags = false
	return t
}

// AddCommon adds the options that all of LXC's commands have, without -n and
// -P if the command has nothing to do with containers.
func (t *Tool) AddCommon(containers bool) {
	o, c := t.Options, &t.Common
	if containers {
		o.StringVarP(&c.LXCPath, "lxcpath", "P", "", "LXC keeps its containers in `PATH` (default: what this host's LXC uses)")
	}
	o.StringVarP(&c.LogFile, "logfile", "o", "", "write a log to `FILE`")
	o.StringVarP(&c.Priority, "logpriority", "l", "ERROR", "how much of it: `LEVEL` is FATAL, CRIT, WARN, ERROR, NOTICE, INFO, DEBUG or TRACE")
	o.BoolVarP(&c.Quiet, "quiet", "q", false, "show no progress; errors are shown all the same")
	o.BoolVarP(&c.help, "help", "h", false, "show this help (also -?)")
	o.BoolVar(&c.usage, "usage", false, "show a short usage")
	o.BoolVar(&c.version, "version", false, "show the version")
}

// Parse parses the command line and opens the log. done says that the
// command has nothing more to do: help was shown.
func (t *Tool) Parse(args []string) (done bool, err error) {
	whole, err := expand(t.Options, args)
	if err != nil {
		return false, err
	}
	if err := t.Options.Parse(whole); err != nil {
		var invalid *pflag.InvalidValueError
		if errors.As(err, &invalid) {
			return false, Usagef("option --%s: %q is not a value that it takes: %v",
				invalid.GetFlag().Name, invalid.GetValue(), invalid.Unwrap())
		}
		return false, Usagef("%v", err)
	}
	t.operands = t.Options.Args()
	switch c := t.Common; {
	case c.help:
		return true, t.help(os.Stdout)
	case c.usage:
		return true, t.usage(os.Stdout)
	case c.version:
		_, err := fmt.Println(Version)
		return true, err
	}
	return false, t.openLog()
}

// Operands are the arguments that are no options.
func (t *Tool) Operands() []string { return t.operands }

// Given tells whether an option was on the command line.
func (t *Tool) Given(option string) bool { return t.Options.Changed(option) }

func (t *Tool) usage(w io.Writer) error {
	for i, line := range t.Usage {
		head := "Usage: "
		if i > 0 {
			head = "       "
		}
		if _, err := fmt.Fprintf(w, "%s%s %s\n", head, t.Name, line); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tool) help(w io.Writer) error {
	if err := t.usage(w); err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s\n\nOptions:\n", t.Summary)
	t.Options.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		value, text := pflag.UnquoteUsage(f)
		left := "      --" + f.Name
		if f.Shorthand != "" {
			left = "  -" + f.Shorthand + ", --" + f.Name
		}
		if !isSwitch(f) {
			left += "=" + value
		}
		fmt.Fprintf(&b, "%-28s %s\n", left, text)
	})
	if t.Notes != "" {
		fmt.Fprintf(&b, "\n%s\n", strings.TrimSpace(t.Notes))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Exit shows an error (nil is fine), closes the log, and returns the exit
// code. Each line of the error gets the command's name before it; after a
// wrong usage comes a hint.
func (t *Tool) Exit(err error) int {
	code := Done
	if err != nil {
		code = CouldNot
		text := strings.TrimSpace(err.Error())
		var wrong *UsageError
		if errors.As(err, &wrong) {
			code = Wrong
			text += " (see " + t.Name + " --help)"
		}
		for line := range strings.Lines(text) {
			fmt.Fprintf(os.Stderr, "%s: %s\n", t.Name, strings.TrimSuffix(line, "\n"))
		}
		t.Log.Error(text)
	}
	if t.logFile != nil {
		_ = t.logFile.Close()
	}
	return code
}

// WithState adds to an error the state that the operator is left in: to its
// line, or, if it has several, as one of its own. A nil error stays nil.
func WithState(err error, state string) error {
	if err == nil {
		return nil
	}
	separator := "; "
	if strings.Contains(strings.TrimSpace(err.Error()), "\n") {
		separator = "\n"
	}
	return fmt.Errorf("%w%s%s", err, separator, state)
}
