package lxc

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/test/harness"
)

// runcConfig makes runc's own configuration of a container one that counts, with
// a user namespace and all others, and no terminal.
const runcConfig = `
import json, subprocess
subprocess.run(["runc", "spec"], cwd="/bundle", check=True)
c = json.load(open("/bundle/config.json"))
c["process"]["terminal"] = False
c["process"]["args"] = ["/bin/sh", "-c", "echo > /tmp/mine; i=0; while :; do i=$((i+1)); echo $i >>/count; sleep 0.05; done"]
c["root"]["readonly"] = False
c["hostname"] = "inner"
c["linux"]["namespaces"].append({"type": "user"})
for ids in "uidMappings", "gidMappings":
    c["linux"][ids] = [{"containerID": 0, "hostID": 20000, "size": 1000}]
c["mounts"].append({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", "mode=1777", "size=1m"]})
c["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["swapon"], "action": "SCMP_ACT_ERRNO"}]}
json.dump(c, open("/bundle/config.json", "w"))
`

// TestRunc: a container in the container, made by runc with namespaces of all
// kinds, goes on after a restart, and runc, which waits for it, too. (runc's other
// commands call it stopped: they compare when its first process was started, and
// no call of the kernel sets that.)
func TestRunc(t *testing.T) {
	need.Check(t, need.Program("runc"), need.Program("busybox"))
	b := debianSystemd(t, harness.DebianPackages)
	bundle := filepath.Join(b.rootfs, "bundle/rootfs")
	for _, dir := range []string{"bin", "proc", "dev", "sys", "tmp"} {
		if err := os.MkdirAll(filepath.Join(bundle, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	runc := strings.TrimSpace(harness.Must(t, "which", "runc"))
	harness.Must(t, "cp", runc, filepath.Join(b.rootfs, "usr/sbin/runc"))
	harness.Must(t, "cp", "-L", "/lib/x86_64-linux-gnu/libseccomp.so.2", filepath.Join(b.rootfs, "usr/lib/x86_64-linux-gnu/libseccomp.so.2"))
	harness.Must(t, "cp", "/bin/busybox", filepath.Join(bundle, "bin/busybox"))
	for _, name := range []string{"sh", "sleep", "cat", "id", "hostname", "mount", "ls"} {
		if err := os.Symlink("busybox", filepath.Join(bundle, "bin", name)); err != nil {
			t.Fatal(err)
		}
	}
	harness.Must(t, "chown", "-hR", "20000:20000", bundle)
	write(t, filepath.Join(b.rootfs, "usr/local/bin/configure"), runcConfig)
	// LXC's own word for containers that have others inside.
	b.edit("config", "lxc.arch", "lxc.include = /usr/share/lxc/config/nesting.conf\nlxc.arch")
	b.unit("nested.service", "multi-user.target", `[Service]
ExecStartPre=/usr/bin/python3 /usr/local/bin/configure
ExecStart=/usr/sbin/runc run --no-new-keyring --bundle /bundle inner
KillMode=mixed
`)
	b.start()
	b.running()
	harness.Until(t, "the inner container", 30*time.Second, func() bool { return len(b.lines("bundle/rootfs/count")) > 5 })
	// The source of a second mount of cgroup2 is called as that of the first one: both
	// show the same file system, and a restart mounts it once.
	world := func() string {
		return b.attach("sh", "-c", `
pid=$(python3 -c 'import json; print(json.load(open("/run/runc/inner/state.json"))["init_process_pid"])')
echo $pid $(cat /proc/$pid/comm) of $(ps -o ppid= -p $pid)
nsenter -t $pid -m -u -i -n -p -C -U -r -w /bin/sh -c 'id; hostname; cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups; ls -l /proc/1/fd | wc -l; ls -lR /tmp /dev; cat /proc/1/status | grep -E "^(NS|Uid|Gid|Cap|Seccomp|NoNewPrivs)"; cat /proc/mounts; ls /proc'  2>&1 | grep -v '^[0-9]*$' | grep -v -e '^total' -e ' mqueue$' | sed 's,^[a-z]* \(/sys/fs/cgroup cgroup2\),source \1,; s, [A-Z][a-z][a-z] [ 0-9]* [0-9:]* , ,' | sort
systemctl show -p MainPID,NRestarts nested
`)
	}
	for round := range harness.Rounds(2, 5) {
		before := world()
		file := b.statefile(fmt.Sprint(round))
		b.checkpoint("-k", "-S", file)
		b.restart("-S", file)
		b.running()
		lines := len(b.lines("bundle/rootfs/count"))
		b.grows("bundle/rootfs/count", lines)
		for i, line := range b.lines("bundle/rootfs/count") {
			if line != fmt.Sprint(i+1) {
				t.Fatalf("line %d of the inner counter's file is %q", i+1, line)
			}
		}
		if after := world(); after != before {
			t.Fatalf("round %d: the inner world is another one:\n%s", round, diffLines(before, after))
		}
	}
	// runc waits for it, and tells how it ended.
	b.attach("sh", "-c", "kill -KILL $(python3 -c 'import json; print(json.load(open(\"/run/runc/inner/state.json\"))[\"init_process_pid\"])')")
	harness.Until(t, "runc to notice the end", 10*time.Second, func() bool {
		return strings.Contains(b.attach("systemctl", "show", "-p", "ExecMainStatus,SubState", "nested"), "ExecMainStatus=137")
	})
	b.must("lxc-stop")
}
