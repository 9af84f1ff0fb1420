package cli

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func sample() *Tool {
	t := New("tool", "Does things.", "-n NAME")
	t.Options.StringVarP(&t.Common.Name, "name", "n", "", "the `NAME`")
	t.Options.StringP("statefile", "S", "", "the `FILE`")
	t.Options.VarP(&Number{N: -1, Word: "FD"}, "statefd", "d", "the descriptor")
	t.Options.BoolP("kill", "k", false, "kill")
	t.Options.Var(&Seconds{10 * time.Second}, "timeout", "patience")
	t.AddCommon(true)
	return t
}

func TestSpellings(t *testing.T) {
	for line, want := range map[string]string{
		"-n x":                     "--name=x --",
		"-nx":                      "--name=x --",
		"-n=x":                     "--name==x --",
		"--name x":                 "--name=x --",
		"--name=x":                 "--name=x --",
		"--name=":                  "--name= --",
		"--na x":                   "--name=x --",
		"-kS f":                    "--kill --statefile=f --",
		"-kSf":                     "--kill --statefile=f --",
		"-kqSk":                    "--kill --quiet --statefile=k --",
		"--statefi=f --ki":         "--kill",
		"x -k y -- -k":             "--kill -- x y -k",
		"-n -k":                    "--name=-k --",
		"--name --kill":            "--name=--kill --",
		"-n -- -k":                 "--name=-- --kill --",
		"-?":                       "--help --",
		"-h":                       "--help --",
		"--usa":                    "--usage --",
		"-":                        "-- -",
		"--logp DEBUG --logf a":    "--logpriority=DEBUG --logfile=a --",
		"-P /x -o l -l INFO -n c1": "--lxcpath=/x --logfile=l --logpriority=INFO --name=c1 --",
	} {
		got, err := expand(sample().Options, strings.Fields(line))
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		if s := strings.Join(got, " "); !strings.HasPrefix(s, want) && !slices.Contains(got, want) {
			t.Errorf("%s: %s, want %s", line, s, want)
		}
	}
}

func TestWrongUsage(t *testing.T) {
	for line, want := range map[string]string{
		"--state f":      "option --state is ambiguous: --statefile or --statefd",
		"--log=x":        "option --log is ambiguous: --logfile or --logpriority",
		"-z":             "there is no option -z",
		"-kz":            "there is no option -z",
		"-é":             "there is no option -é",
		"--nosuch=1":     "there is no option --nosuch",
		"--kill=yes":     "option --kill takes no value",
		"-n":             "option -n needs a value",
		"--name":         "option --name needs a value",
		"-kn":            "option -n needs a value",
		"-d x":           `option --statefd: "x" is not a value that it takes: it takes a number from 0`,
		"-d -1":          "it takes a number from 0",
		"-d 99999999999": "it takes a number from 0",
		"--timeout 0":    "it takes seconds",
		"--timeout=-3":   "it takes seconds",
		"--timeout NaN":  "it takes seconds",
		"--timeout 1e9":  "it takes seconds",
		"-l LOUD":        `there is no level "LOUD"`,
	} {
		_, err := sample().Parse(strings.Fields(line))
		var wrong *UsageError
		if !errors.As(err, &wrong) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", line, err, want)
		}
	}
}

func TestLog(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	tool := sample()
	if _, err := tool.Parse([]string{"-o", file, "-l", "notice"}); err != nil {
		t.Fatal(err)
	}
	tool.Log.Info("not this")
	tool.Log.Log(t.Context(), LevelNotice, "this", "object", "a file")
	if code := tool.Exit(nil); code != Done {
		t.Errorf("exit code %d", code)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if s := string(text); strings.Contains(s, "not this") || !strings.Contains(s, `level=NOTICE msg=this`) || !strings.Contains(s, `object="a file"`) {
		t.Errorf("the log says %q", s)
	}
	if _, err := sample().Parse([]string{"-o", filepath.Join(file, "below")}); err == nil {
		t.Error("a log file that cannot be made is no error")
	}
	if _, err := sample().Parse([]string{"-o", "none"}); err != nil {
		t.Error(err)
	}
}

func FuzzExpand(f *testing.F) {
	f.Add("-n x --name=x -kS f -- a")
	f.Fuzz(func(t *testing.T, line string) {
		tool := sample()
		whole, err := expand(tool.Options, strings.Split(line, " "))
		if err != nil {
			return
		}
		if !slices.Contains(whole, "--") {
			t.Errorf("%q", whole)
		}
		_ = tool.Options.Parse(whole)
	})
}

func TestSize(t *testing.T) {
	for text, want := range map[string]Size{"0": 0, "4096": 4096, "64K": 64 << 10, "100m": 100 << 20, "2G": 2 << 30, "1T": 1 << 40} {
		var s Size
		if err := s.Set(text); err != nil || s != want {
			t.Errorf("%s: %d, %v", text, s, err)
		}
	}
	for _, text := range []string{"", "K", "-1", "1.5G", "9999999999G", "5X"} {
		var s Size
		if err := s.Set(text); err == nil {
			t.Errorf("%q is taken for %d", text, s)
		}
	}
}
