package faults

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"lxc-checkpoint/image/writer"
	"lxc-checkpoint/test/harness"
)

// where is how a message says where a statefile is damaged, or what else is
// wrong with all of it.
var where = regexp.MustCompile(`damaged at byte \d+ \(.+\): |is of format version \d+ `)

// TestRejectedByCommands has the commands themselves reject damaged statefiles:
// lxc-statefile says where, and lxc-restart leaves nothing that runs, whether the
// damage shows before anything is made or at the very end.
func TestRejectedByCommands(t *testing.T) {
	o, other := sample(t, "ring", 0)
	var all []damaged
	for range harness.Rounds(4, 100) {
		all = append(all, o.flip(rand.IntN(len(o.bytes))), o.flip(rand.IntN(o.borders[o.pages])), o.cut(rand.IntN(len(o.bytes))))
	}
	for _, i := range []int{0, o.pages, o.pages + 1, len(o.frames) - 1} {
		all = append(all, surgery(o, other, i)...)
	}
	all = append(all, o.version(0), o.version(writer.Version+1), o.cut(0), o.cut(len(o.bytes)-1),
		o.flip(len(o.bytes)-1), o.flip(o.borders[len(o.frames)]+12))

	r := &rejection{t: t, file: filepath.Join(t.TempDir(), "state"), processes: descendants(os.Getpid())}
	for _, h := range hierarchies(t) {
		r.hierarchies = append(r.hierarchies, h)
	}
	for i, d := range all {
		if err := os.WriteFile(r.file, d.bytes, 0o600); err != nil {
			t.Fatal(err)
		}
		r.byStatefile(d.what)
		r.byRestart(d.what, i)
	}
	t.Logf("%d damaged statefiles", len(all))
}

type rejection struct {
	t           *testing.T
	file        string
	hierarchies []string
	processes   []int // that are below this one without a restart
}

func (r *rejection) byStatefile(what string) {
	r.t.Helper()
	got := harness.Run(r.t, harness.Tool(r.t, "lxc-statefile"), "verify", r.file)
	r.message(what, got, "lxc-statefile: "+r.file+": ")
}

// message judges exit code and message of a command that has rejected it.
func (r *rejection) message(what string, got *harness.Result, begin string) {
	r.t.Helper()
	if got.Code != 1 || got.Stdout != "" || !strings.HasPrefix(got.Stderr, begin) || strings.Count(got.Stderr, "\n") != 1 || !where.MatchString(got.Stderr) {
		r.t.Errorf("%s: want exit code 1 and a line that says where: %v", what, got)
	}
}

// byRestart tries to restart it: in a cgroup that is there, in one that is to
// be made, and where it belongs unless somebody says otherwise.
func (r *rejection) byRestart(what string, i int) {
	r.t.Helper()
	name := fmt.Sprintf("faults-%d", os.Getpid())
	args := []string{"--native", "-n", name, "-S", r.file}
	cgroup, err := harness.NewCgroup(r.hierarchies[i%len(r.hierarchies)], "rejected")
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() {
		if err := cgroup.Remove(); err != nil {
			r.t.Error(err)
		}
	}()
	made := filepath.Join(cgroup.Dir, "made", "by", "restart")
	switch i % 3 {
	case 0:
		args = append(args, "--cgroup="+cgroup.Dir)
	case 1:
		args = append(args, "--cgroup="+made)
	}
	got := harness.Run(r.t, harness.Tool(r.t, "lxc-restart"), args...)
	r.message(what, got, "lxc-restart: ")
	if !strings.HasSuffix(got.Stderr, "; nothing was left running\n") {
		r.t.Errorf("%s: the message does not say what is left: %v", what, got)
	}
	if pids := cgroup.Processes(); len(pids) > 0 {
		r.t.Errorf("%s: processes %v are left", what, pids)
	}
	if _, err := os.Stat(cgroup.Dir); err != nil {
		r.t.Errorf("%s: the cgroup that was there before is gone: %v", what, err)
	}
	if left, _ := filepath.Glob(filepath.Join(cgroup.Dir, "made*")); len(left) > 0 {
		r.t.Errorf("%s: the cgroups %v are left", what, left)
	}
	for _, h := range r.hierarchies {
		if left, _ := filepath.Glob(filepath.Join(h, "lxc-checkpoint", name)); len(left) > 0 {
			r.t.Errorf("%s: the cgroups %v are left", what, left)
		}
	}
	if now := descendants(os.Getpid()); !slices.Equal(now, r.processes) {
		r.t.Errorf("%s: processes are left: %v", what, children())
	}
	// A mount of the container's directory, which lies beside the statefile's.
	if mounts, err := os.ReadFile("/proc/self/mounts"); err != nil || strings.Contains(string(mounts), filepath.Dir(filepath.Dir(r.file))) {
		r.t.Errorf("%s: a mount is left: %s, %v", what, mounts, err)
	}
}
