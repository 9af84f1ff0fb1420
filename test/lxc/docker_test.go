package lxc

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/test/harness"
)

// runcStarts is the recipe of README.md: runc takes a container for stopped whose first
// process was not started when it was, and no call of the kernel sets that.
func runcStarts(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "```sh\nfor s in", "```\n"
	_, recipe, _ := strings.Cut(string(text), begin)
	recipe, _, found := strings.Cut(recipe, end)
	if !found {
		t.Fatal("README.md has no recipe for runc any more")
	}
	return "for s in" + recipe
}

// TestDocker: Docker as Debian has it, with a container of its own on its bridge:
// an overlay as its root, a mounted network namespace, veth, rules of NAT, containerd
// and its shim. All of it goes on after a restart, and Docker's commands work on the
// container that was there and on new ones.
func TestDocker(t *testing.T) {
	need.Check(t, need.Program("busybox"))
	b := debianSystemd(t, harness.DebianPackages+harness.DebianDaemons)
	b.edit("config", "lxc.arch", "lxc.include = /usr/share/lxc/config/nesting.conf\nlxc.arch")
	image := filepath.Join(b.rootfs, "image")
	for _, dir := range []string{"bin", "www", "tmp"} {
		if err := os.MkdirAll(filepath.Join(image, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	harness.Must(t, "cp", "/bin/busybox", filepath.Join(image, "bin/busybox"))
	for _, name := range []string{"sh", "sleep", "cat", "echo", "httpd", "wget", "hostname", "mount", "ls", "mv", "wc", "sort"} {
		if err := os.Symlink("busybox", filepath.Join(image, "bin", name)); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(image, "www/page"), "of the inner container\n")
	b.start()
	b.running()
	docker := func(args ...string) string { return b.attach(append([]string{"docker"}, args...)...) }
	b.attach("sh", "-c", "tar -C /image -c . | docker import - small")
	docker("run", "-d", "--name", "inner", "--hostname", "within", "-p", "127.0.0.1:8080:80", "-v", "/srv:/volume", "--tmpfs", "/scratch", "small",
		"/bin/sh", "-c", "httpd -p 80 -h /www; echo is kept >/scratch/kept; i=0; while :; do i=$((i+1)); echo $i >/count.new; mv /count.new /count; echo $i >/volume/count; echo line $i; sleep 0.05; done")
	count := func() int {
		n, err := strconv.Atoi(strings.TrimSpace(docker("exec", "inner", "cat", "/count")))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	harness.Until(t, "the inner container counts", 30*time.Second, func() bool { return count() > 5 })
	// What Docker tells of the container and what it sees of itself.
	world := func() string {
		return docker("inspect", "--format", "{{.State.Status}} {{.State.Pid}} {{.State.StartedAt}} {{.NetworkSettings.IPAddress}} {{.GraphDriver.Name}} {{.RestartCount}}", "inner") +
			docker("exec", "inner", "sh", "-c", "hostname; sort /proc/mounts; cat /scratch/kept; ls -l /proc/1/fd /dev | wc -l") +
			b.attach("sh", "-c", "iptables-save | grep -v '^[:#]' | sort; ip -br link | sort; brctl show 2>/dev/null; systemctl show -p MainPID,NRestarts docker containerd")
	}
	reach := func() {
		t.Helper()
		if page := b.attach("busybox", "wget", "-q", "-O", "-", "http://127.0.0.1:8080/page"); page != "of the inner container" {
			t.Errorf("by the published port came %q", page)
		}
	}
	reach()
	for round := range harness.Rounds(2, 5) {
		before, was := world(), count()
		file := b.statefile(fmt.Sprint(round))
		b.checkpoint("-S", file+".live")
		b.checkpoint("-k", "-S", file)
		b.restart("-S", file)
		b.attach("sh", "-c", runcStarts(t))
		if after := world(); after != before {
			t.Errorf("the world is another one:\n%s", diffLines(before, after))
		}
		harness.Until(t, "the inner container goes on", 10*time.Second, func() bool { return count() > was })
		if now := count(); now > was+600 {
			t.Errorf("it counted to %d, and now to %d", was, now)
		}
		reach()
	}
	if log := docker("logs", "--tail", "1", "inner"); !strings.HasPrefix(log, "line ") {
		t.Errorf("its log ends with %q", log)
	}
	if out := docker("run", "--rm", "small", "/bin/echo", "a new one"); out != "a new one" {
		t.Errorf("a new container says %q", out)
	}
	docker("restart", "-t", "1", "inner")
	reach()
	docker("rm", "-f", "inner")
	b.must("lxc-stop")
}
