package cli

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/spf13/pflag"
)

// expand rewrites a command line as getopt_long(3) understands it into one
// where every option is whole: "--name=x" or "--kill", then "--" and the
// operands. Options and operands may come in any order; "--" ends the
// options; a long option may be shortened as long as one only fits; an
// option's value may be the next argument, whatever it looks like.
func expand(fs *pflag.FlagSet, args []string) ([]string, error) {
	var options, operands []string
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		switch {
		case arg == "--":
			operands = append(operands, args...)
			args = nil
		case strings.HasPrefix(arg, "--"):
			typed, value, hasValue := strings.Cut(arg[2:], "=")
			f, err := lookup(fs, typed)
			if err != nil {
				return nil, err
			}
			switch {
			case isSwitch(f) && hasValue:
				return nil, Usagef("option --%s takes no value", f.Name)
			case isSwitch(f):
				options = append(options, "--"+f.Name)
			case hasValue:
				options = append(options, "--"+f.Name+"="+value)
			case len(args) == 0:
				return nil, Usagef("option --%s needs a value", f.Name)
			default:
				options = append(options, "--"+f.Name+"="+args[0])
				args = args[1:]
			}
		case strings.HasPrefix(arg, "-") && arg != "-":
			for letters := arg[1:]; letters != ""; {
				_, size := utf8.DecodeRuneInString(letters)
				letter := letters[:size]
				letters = letters[size:]
				f := shorthand(fs, letter)
				switch {
				case f == nil:
					return nil, Usagef("there is no option -%s", letter)
				case isSwitch(f):
					options = append(options, "--"+f.Name)
					continue
				case letters != "":
					options = append(options, "--"+f.Name+"="+letters)
				case len(args) == 0:
					return nil, Usagef("option -%s needs a value", letter)
				default:
					options = append(options, "--"+f.Name+"="+args[0])
					args = args[1:]
				}
				break
			}
		default:
			operands = append(operands, arg)
		}
	}
	return append(append(options, "--"), operands...), nil
}

func isSwitch(f *pflag.Flag) bool { return f.Value.Type() == "bool" }

// shorthand finds an option by its letter. All LXC commands take -? for -h.
func shorthand(fs *pflag.FlagSet, letter string) *pflag.Flag {
	if letter == "?" {
		letter = "h"
	}
	if len(letter) != 1 {
		return nil // pflag's letters are of ASCII
	}
	return fs.ShorthandLookup(letter)
}

// lookup finds a long option by its name or by a beginning that only it has.
func lookup(fs *pflag.FlagSet, typed string) (*pflag.Flag, error) {
	var fits []*pflag.Flag
	fs.VisitAll(func(f *pflag.Flag) {
		if strings.HasPrefix(f.Name, typed) {
			fits = append(fits, f)
		}
	})
	if f := fs.Lookup(typed); f != nil {
		return f, nil
	}
	switch len(fits) {
	case 0:
		return nil, Usagef("there is no option --%s", typed)
	case 1:
		return fits[0], nil
	}
	names := make([]string, len(fits))
	for i, f := range fits {
		names[i] = "--" + f.Name
	}
	last := len(names) - 1
	return nil, Usagef("option --%s is ambiguous: %s or %s", typed, strings.Join(names[:last], ", "), names[last])
}

// UsageError is a wrong usage of a command: exit code 2.
type UsageError struct{ words string }

func (e *UsageError) Error() string { return e.words }

// Usagef makes a *UsageError.
func Usagef(format string, a ...any) error {
	return &UsageError{fmt.Sprintf(format, a...)}
}
