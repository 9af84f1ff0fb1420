package targets

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/refusal"
	"lxc-checkpoint/test/harness"
)

// obstructed is a container with an obstacle in it, that a remedy is tried on.
type obstructed struct {
	*container
	attached *exec.Cmd // a session of lxc-attach
	options  []string  // that the checkpoint is to be given
}

// remedies are what the words of a remedy tell to do. The first that fits is
// followed.
var remedies = []struct {
	words  *regexp.Regexp
	follow func(o *obstructed, r *refusal.Refusal, words []string)
}{
	{regexp.MustCompile(`(--max-deleted=\w+)`), func(o *obstructed, _ *refusal.Refusal, words []string) {
		o.options = append(o.options, words[1])
	}},
	{regexp.MustCompile(`unmount it`), func(o *obstructed, r *refusal.Refusal, _ []string) {
		o.inside("umount", strings.TrimPrefix(r.Object, "mount "))
	}},
	{regexp.MustCompile(`end the lxc-attach session`), func(o *obstructed, _ *refusal.Refusal, _ []string) {
		o.t.Helper()
		// The program first: lxc-attach has to collect it, or the container's
		// init waits for it for ever where nobody else does.
		o.inside("killall", "-9", "sleep")
		_ = o.attached.Wait()
	}},
	{regexp.MustCompile(`end (that|the) debugger`), func(o *obstructed, r *refusal.Refusal, _ []string) {
		// Who traces it is its parent.
		o.inside("sh", "-c", fmt.Sprintf(`set -- $(grep PPid /proc/%d/status); kill -9 $2`, r.PID))
	}},
	{regexp.MustCompile(`again when|let the program go on until`), func(o *obstructed, _ *refusal.Refusal, _ []string) {
		judge(o.t, o.container)
	}},
	{regexp.MustCompile(`make it`), func(o *obstructed, r *refusal.Refusal, _ []string) {
		dir, _, _ := strings.Cut(r.Reason, ",")
		if err := os.Mkdir(dir, 0o755); err != nil {
			o.t.Error(err)
		}
	}},
	{regexp.MustCompile(`end (the process|the program|it)\b`), func(o *obstructed, r *refusal.Refusal, _ []string) {
		o.inside("kill", "-9", fmt.Sprint(r.PID))
	}},
}

// TestRemedies: ten containers with an obstacle each. --check names it, with a
// remedy; when that is followed, --check finds nothing, and it is right.
func TestRemedies(t *testing.T) {
	need.Check(t, need.Root, need.LXC, need.Freezer, need.CC, need.LibC)
	for name, prepare := range map[string]func(o *obstructed){
		"deleted_large": target, "mount_overlay": target, "traced": target, "perf_event": target, "userfaultfd": target,
		"vfork": target, "queue_thread": target, "inotify_gone": target, "lock_lease_breaking": target, "ipc_left": target,
		"attached":  attachedOne,
		"no_source": sourceGone,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			harness.KeepInherited()
			source, program := "c/refused/"+name+".c", "/bin/busybox"
			if _, err := os.Stat(source); err == nil {
				program = programOf(t, source)
			}
			bound := filepath.Join(t.TempDir(), "bound")
			if err := os.Mkdir(bound, 0o755); err != nil {
				t.Fatal(err)
			}
			o := &obstructed{container: makeContainer(t, "remedy-"+name, program, "/bin/idle", "lxc.mount.entry = "+bound+" mnt none bind,create=dir 0 0")}
			o.install()
			o.start()
			if got := o.check(); got.Code != 0 {
				t.Fatalf("before there is an obstacle: %v", got)
			}
			prepare(o)
			o.tryRemedy()
		})
	}
}

// install fills the root file system.
func (o *obstructed) install() {
	o.t.Helper()
	bin := filepath.Join(o.home, "../bin")
	harness.Must(o.t, "cp", "/bin/busybox", bin)
	for _, name := range []string{"sh", "sleep", "setsid", "kill", "killall", "umount", "grep"} {
		if err := os.Symlink("busybox", filepath.Join(bin, name)); err != nil {
			o.t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(bin, "idle"), []byte("#!/bin/sh\nwhile :; do sleep 1; done\n"), 0o755); err != nil {
		o.t.Fatal(err)
	}
}

func (o *obstructed) inside(args ...string) {
	o.t.Helper()
	if r := o.lxc("lxc-attach", append([]string{"--"}, args...)...); r.Code != 0 {
		o.t.Error(r)
	}
}

func (o *obstructed) check(args ...string) *harness.Result {
	o.t.Helper()
	return o.lxc(harness.Tool(o.t, "lxc-checkpoint"), append(append([]string{"--check", "--timeout=2"}, o.options...), args...)...)
}

func (o *obstructed) tryRemedy() {
	t := o.t
	t.Helper()
	got := o.check("--json")
	var r refusal.Report
	if err := json.Unmarshal([]byte(got.Stdout), &r); err != nil || got.Code != 1 || len(r.Obstacles) == 0 {
		t.Fatalf("%v: %v", got, err)
	}
	if plain := o.check(); plain.Code != 1 || !strings.Contains(plain.Stderr, r.Obstacles[0].Reason) {
		t.Errorf("without --json it tells something else: %v", plain)
	}
	for _, obstacle := range r.Obstacles {
		t.Logf("%v", obstacle)
		if obstacle.Remedy == "" {
			t.Errorf("no remedy: %v", obstacle)
		}
	}
	o.follow(r.Obstacles[0])
	var after *harness.Result
	if !harness.Wait(10*time.Second, func() bool { after = o.check(); return after.Code == 0 }) {
		t.Fatalf("the remedy was followed (%s), and: %v", r.Obstacles[0].Remedy, after)
	}
	file := o.statefile("f")
	harness.Silent(t, "lxc-checkpoint", append([]string{"-P", o.path, "-n", o.name, "-S", file, "-k"}, o.options...)...)
	if got := o.lxc(harness.Tool(t, "lxc-restart"), "--check", "-S", file); got.Code != 0 {
		t.Errorf("it was killed, and: %v", got)
	}
	harness.Silent(t, "lxc-restart", "-P", o.path, "-n", o.name, "-S", file)
}

func (o *obstructed) follow(r *refusal.Refusal) {
	o.t.Helper()
	for _, remedy := range remedies {
		if words := remedy.words.FindStringSubmatch(r.Remedy); words != nil {
			remedy.follow(o, r, words)
			return
		}
	}
	o.t.Fatalf("nobody knows how to follow this: %s", r.Remedy)
}

// target runs the container's target in it.
func target(o *obstructed) {
	o.t.Helper()
	o.inside("sh", "-c", "cd /home; setsid /bin/target </dev/null >/dev/null 2>&1 &")
	if _, err := o.await("ready", 20*time.Second); err != nil {
		if reason, ok := strings.CutPrefix(text(filepath.Join(o.home, "result")), "skip: "); ok {
			o.t.Skip(reason)
		}
		o.t.Fatal(err)
	}
}

// attachedOne leaves a session of lxc-attach open.
func attachedOne(o *obstructed) {
	o.t.Helper()
	o.attached = exec.Command("lxc-attach", "-P", o.path, "-n", o.name, "--", "sleep", "1000")
	o.attached.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := o.attached.Start(); err != nil {
		o.t.Fatal(err)
	}
	harness.Until(o.t, "a session of lxc-attach", 5*time.Second, func() bool {
		return o.lxc("lxc-attach", "--", "sh", "-c", "grep -l 1000.$ /proc/[0-9]*/cmdline").Code == 0
	})
}

// sourceGone moves a directory away that LXC will bind again at the restart.
func sourceGone(o *obstructed) {
	o.t.Helper()
	for line := range strings.Lines(text(filepath.Join(o.path, o.name, "config"))) {
		if words := strings.Fields(line); len(words) > 2 && words[0] == "lxc.mount.entry" && strings.HasSuffix(words[2], "/bound") {
			if err := os.Rename(words[2], words[2]+".away"); err != nil {
				o.t.Fatal(err)
			}
		}
	}
}
