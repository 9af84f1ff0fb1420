package container_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lxc-checkpoint/container"
)

// cgroupRoots returns where the hierarchies that can freeze are mounted, the
// v1 freezer first.
func cgroupRoots(t *testing.T) []string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes cgroups")
	}
	text, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	var v1, v2 []string
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		switch {
		case f[2] == "cgroup" && strings.Contains(","+f[3]+",", ",freezer,"):
			v1 = append(v1, f[1])
		case f[2] == "cgroup2":
			v2 = append(v2, f[1])
		}
	}
	return append(v1, v2...)
}

func mkcgroup(t *testing.T, root string) string {
	t.Helper()
	dir := filepath.Join(root, fmt.Sprintf("lxc-checkpoint-test-%d-%d", os.Getpid(), time.Now().UnixNano()))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for range 100 {
			if os.Remove(dir) == nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Errorf("cgroup %s is left", dir)
	})
	return dir
}

// in starts a shell with a child in the cgroup.
func in(t *testing.T, dir string) int {
	t.Helper()
	c := exec.Command("sh", "-c", `echo $$ > "$0"/cgroup.procs; sleep 1000 & echo in; read x; kill $!; wait`, dir)
	stdin, err1 := c.StdinPipe()
	out, err2 := c.StdoutPipe()
	if err := errors.Join(err1, err2, c.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = c.Wait()
	})
	if _, err := out.Read(make([]byte, 2)); err != nil {
		t.Fatal(err)
	}
	return c.Process.Pid
}

func TestByPIDAndByCgroup(t *testing.T) {
	ctx := context.Background()
	for _, root := range cgroupRoots(t) {
		t.Run(filepath.Base(root), func(t *testing.T) {
			dir := mkcgroup(t, root)
			var stopped *container.NotRunningError
			if _, err := container.ByCgroup(ctx, dir); !errors.As(err, &stopped) {
				t.Errorf("an empty cgroup: %v", err)
			}
			pid := in(t, dir)
			for _, path := range []string{dir, dir + "/", strings.TrimPrefix(dir, root), strings.TrimPrefix(dir, root+"/")} {
				c, err := container.ByCgroup(ctx, path)
				if err != nil {
					t.Errorf("cgroup %s: %v", path, err)
					continue
				}
				if c.InitPID != pid || c.CgroupDir != dir || c.CloneFlags != 0 || c.Name != "" || c.String() != "cgroup "+path {
					t.Errorf("cgroup %s: %+v", path, c)
				}
			}
			c, err := container.ByPID(ctx, pid)
			if err != nil {
				t.Fatal(err)
			}
			if c.CgroupDir != dir || c.String() != fmt.Sprintf("process %d", pid) {
				t.Errorf("by pid: %+v", c)
			}
			if pids, err := c.Processes(); err != nil || len(pids) != 2 {
				t.Errorf("processes %v, %v", pids, err)
			}
			if err := c.Announce(ctx, container.Frozen); err != nil {
				t.Errorf("announcing without LXC: %v", err)
			}

			// A second tree in the same cgroup.
			other := in(t, dir)
			if _, err := container.ByPID(ctx, pid); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("process %d", other)) {
				t.Errorf("a cgroup with a second tree: %v", err)
			}
			if _, err := container.ByCgroup(ctx, dir); err == nil || !strings.Contains(err.Error(), "several trees") {
				t.Errorf("a cgroup with two trees: %v", err)
			}
		})
	}
}

func TestRefusesOurselves(t *testing.T) {
	ctx := context.Background()
	for _, root := range cgroupRoots(t) {
		if _, err := container.ByCgroup(ctx, root); err == nil || !strings.Contains(err.Error(), "root cgroup") {
			t.Errorf("%s: %v", root, err)
		}
		dir := mkcgroup(t, root)
		own, err := os.ReadFile("/proc/self/cgroup")
		if err != nil {
			t.Fatal(err)
		}
		procs := filepath.Join(dir, "cgroup.procs")
		if err := os.WriteFile(procs, []byte("0"), 0); err != nil {
			t.Fatal(err)
		}
		_, err = container.ByCgroup(ctx, dir)
		_, errPID := container.ByPID(ctx, os.Getpid())
		back(t, root, string(own))
		if err == nil || !strings.Contains(err.Error(), "this command itself") {
			t.Errorf("our own cgroup: %v", err)
		}
		if errPID == nil || !strings.Contains(errPID.Error(), "this command itself") {
			t.Errorf("our own process: %v", errPID)
		}
	}
}

// back moves this process to where it was below a hierarchy's root.
func back(t *testing.T, root, own string) {
	t.Helper()
	for line := range strings.Lines(own) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if f[1] == "freezer" && filepath.Base(root) == "freezer" || f[1] == "" && filepath.Base(root) != "freezer" {
			if err := os.WriteFile(filepath.Join(root, f[2], "cgroup.procs"), []byte("0"), 0); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestNotThere(t *testing.T) {
	ctx := context.Background()
	var missing *container.NotFoundError
	if _, err := container.ByPID(ctx, 4194304); !errors.As(err, &missing) {
		t.Errorf("a pid above all: %v", err)
	}
	if _, err := container.ByCgroup(ctx, "/no/such"); !errors.As(err, &missing) {
		t.Errorf("no such cgroup: %v", err)
	}
	if _, err := container.ByName(ctx, "no such", t.TempDir()); !errors.As(err, &missing) {
		t.Errorf("no such name: %v", err)
	}
	for _, name := range []string{"", ".", "..", "a/b", strings.Repeat("n", 256)} {
		if _, err := container.ByName(ctx, name, ""); err == nil || errors.As(err, &missing) {
			t.Errorf("name %q: %v", name, err)
		}
	}
	for _, pid := range []int{0, -1} {
		if _, err := container.ByPID(ctx, pid); err == nil {
			t.Errorf("pid %d was found", pid)
		}
	}
	if _, err := container.ByPID(ctx, 1); err == nil {
		t.Error("the host's init was accepted")
	}
}
