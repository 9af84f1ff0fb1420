package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"lxc-checkpoint/image/vectors"
)

// TestMain makes the test binary the command itself when it is told so.
func TestMain(m *testing.M) {
	if os.Getenv("RUN_LXC_STATEFILE") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// command runs lxc-statefile in a directory.
func command(t *testing.T, dir string, input []byte, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), "RUN_LXC_STATEFILE=1")
	cmd.Dir = dir
	if input != nil {
		cmd.Stdin = bytes.NewReader(input)
	}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run()
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// sample puts a statefile into a new directory.
func sample(t *testing.T) (dir string, b []byte) {
	t.Helper()
	dir = t.TempDir()
	s := vectors.Everything()
	s.Processes[1].CommandLine = "server \x1b]0;title\a"
	b = vectors.Write(s, vectors.ImageID,
		vectors.Pages{Owner: vectors.MmID, Offset: 0x1f000, Data: append(vectors.Fill('h'), vectors.Fill('f')...)},
		vectors.Pages{Owner: vectors.MmID, Offset: 0x40000, Data: vectors.Fill('k')},
		vectors.Pages{Owner: vectors.InheritedID, Offset: 0x11000, Data: append(vectors.Fill('c'), vectors.Fill('d')...)},
		vectors.Pages{Owner: vectors.ChildMmID, Offset: 0x12000, Data: vectors.Fill('e')},
		vectors.Pages{Owner: 20, Offset: 0x1000, Data: vectors.Fill('s')})
	if err := os.WriteFile(filepath.Join(dir, "c1"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, b
}

// TestShow compares the tree with testdata/show. UPDATE=1 writes that.
func TestShow(t *testing.T) {
	dir, b := sample(t)
	out, errs, code := command(t, dir, nil, "show", "c1")
	if code != 0 || errs != "" {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile("testdata/show", []byte(out), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/show")
	if err != nil {
		t.Fatal(err)
	}
	if out != string(want) {
		t.Errorf("have:\n%s", out)
	}
	for _, args := range [][]string{{"show", "-"}, {"show", "/dev/stdin"}} {
		if again, errs, _ := command(t, dir, b, args...); again != out {
			t.Errorf("%q shows something else: %s%s", args, again, errs)
		}
	}
}

// TestJSON checks the shape of show --json: that it is what JSON.md says.
func TestJSON(t *testing.T) {
	dir, _ := sample(t)
	out, errs, code := command(t, dir, nil, "show", "--json", "c1")
	if code != 0 || errs != "" {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	var sum Summary
	d := json.NewDecoder(strings.NewReader(out))
	d.DisallowUnknownFields()
	if err := d.Decode(&sum); err != nil {
		t.Fatal(err)
	}
	if sum.Shape != 1 || len(sum.Processes) != 4 || sum.Processes[1].Threads[1].SystemCall != "futex" {
		t.Errorf("%s", out)
	}
	var stored uint64
	for _, m := range sum.Memory {
		stored += m.Stored
	}
	if stored != 7*vectors.Page {
		t.Errorf("%d bytes stored", stored)
	}
	text, err := os.ReadFile("JSON.md")
	if err != nil {
		t.Fatal(err)
	}
	var walk func(reflect.Type)
	walk = func(k reflect.Type) {
		for k.Kind() == reflect.Slice {
			k = k.Elem()
		}
		if k.Kind() != reflect.Struct {
			return
		}
		for i := range k.NumField() {
			f := k.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if !strings.Contains(string(text), "`"+name+"`") {
				t.Errorf("JSON.md does not explain %q of %s", name, k.Name())
			}
			walk(f.Type)
		}
	}
	walk(reflect.TypeFor[Summary]())
}

func TestVerify(t *testing.T) {
	dir, b := sample(t)
	write := func(name string, b []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	spoilt := slices.Clone(b)
	spoilt[len(spoilt)/2] ^= 1
	write("spoilt", spoilt)
	write("cut", b[:len(b)/2])
	write("empty", nil)
	write("text", []byte("hello, this is no statefile\n"))
	for _, c := range []struct {
		name, want string
		code       int
	}{
		{"c1", "", 0},
		{"spoilt", "spoilt: the statefile is damaged at byte ", 1},
		{"cut", "truncated", 1},
		{"empty", "empty", 1},
		{"text", "it is no statefile", 1},
		{"missing", "missing cannot be opened: no such file or directory", 1},
		{".", "it is no regular file", 1},
	} {
		out, errs, code := command(t, dir, nil, "verify", c.name)
		if code != c.code || out != "" || !strings.Contains(errs, c.want) || strings.Count(errs, "\n") != c.code {
			t.Errorf("%s: exit code %d, %q", c.name, code, errs)
		}
	}
	if _, errs, code := command(t, dir, spoilt, "verify", "-"); code != 1 || !strings.Contains(errs, "standard input: the statefile is damaged") {
		t.Errorf("standard input: exit code %d, %q", code, errs)
	}
}

func TestCore(t *testing.T) {
	dir, b := sample(t)
	files := func() []string {
		t.Helper()
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	if _, errs, code := command(t, dir, nil, "core", "c1", "5"); code != 0 || !strings.Contains(errs, "/lib/libc.so below /") {
		t.Errorf("exit code %d, %q", code, errs)
	}
	if _, errs, code := command(t, dir, b, "core", "-o", "mine", "--root=.", "-", "9"); code != 0 {
		t.Errorf("exit code %d, %q", code, errs)
	}
	if st, err := os.Stat(filepath.Join(dir, "core.5")); err != nil || st.Mode() != 0o600 {
		t.Errorf("core.5: %v, %v", st, err)
	}
	spoilt := slices.Clone(b)
	spoilt[len(spoilt)-1] ^= 1 // found after everything else
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"core", "c1", "77"}, "no process 77"},
		{[]string{"core", "c1", "12"}, "zombie"},
		{[]string{"core", "-o", "none/core", "c1", "1"}, "none/core cannot be made: no such file"},
		{[]string{"core", "--root=none", "c1", "1"}, "none"},
		{[]string{"core", "-", "1"}, "standard input: the statefile is damaged"},
	} {
		_, errs, code := command(t, dir, spoilt, c.args...)
		if code != 1 || !strings.Contains(errs, c.want) {
			t.Errorf("%q: exit code %d, %q", c.args, code, errs)
		}
	}
	if have := files(); !slices.Equal(have, []string{"c1", "core.5", "mine"}) {
		t.Errorf("left: %q", have)
	}
}

func TestUsage(t *testing.T) {
	dir, _ := sample(t)
	for _, args := range [][]string{
		{}, {"look", "c1"}, {"show"}, {"show", "c1", "c2"}, {"core", "c1"}, {"core", "c1", "x"}, {"core", "c1", "0"},
		{"verify", "--json", "c1"}, {"show", "-o", "x", "c1"}, {"show", "--nothing", "c1"},
	} {
		out, errs, code := command(t, dir, nil, args...)
		if code != 2 || out != "" || !strings.Contains(errs, "see lxc-statefile --help") || strings.Count(errs, "\n") != 1 {
			t.Errorf("%q: exit code %d, %q", args, code, errs)
		}
	}
	for _, args := range [][]string{{"--help"}, {"-?"}, {"--usage"}, {"--version"}} {
		out, errs, code := command(t, dir, nil, args...)
		if code != 0 || out == "" || errs != "" {
			t.Errorf("%q: exit code %d, %q", args, code, errs)
		}
	}
}
