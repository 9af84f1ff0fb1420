package targets

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/test/harness"
)

// idMapped are targets about what may go wrong where the container's root is an
// ordinary user of the host: owners of files and of objects, rights, limits.
var idMapped = strings.Fields(`
fd_deleted fd_deleted_directory fd_fifo fd_nameless fd_owner_uids fd_packet fd_pty fd_tcp_options fd_unix fd_unix_closed fd_unix_credentials
ipc_memory ipc_message_queue ipc_message_queue_mount ipc_nested_users ipc_semaphore_undo ipc_unattached mem_hugetlb mem_locked net_nested proc_credentials proc_limits seccomp_filter
mount_overlay time_namespace world_cgroup world_mounts world_pidns world_userns_mounts world_userns_nested`)

var ids = []syscall.SysProcIDMap{{ContainerID: 0, HostID: harness.FirstID, Size: harness.IDs}}

// TestIDMapped: targets in containers with a user namespace of their own. Killed
// and restarted natively; and as a container of LXC with lxc.idmap, whose root file
// system is id-mapped: checkpoints while it goes on, -k, restart.
func TestIDMapped(t *testing.T) {
	need.Check(t, need.LXC)
	harness.WriteIDMaps(t)
	for number, name := range idMapped {
		eachOf(t, "c", name, func(t *testing.T, name, source, program string, _ int) {
			idMappedNatively(t, name, source, program, number)
			idMappedByLXC(t, name, program)
		})
	}
}

func idMappedNatively(t *testing.T, name, source, program string, number int) {
	t.Helper()
	// Users of the container have to get there.
	for dir := filepath.Dir(program); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		must(t, os.Chmod(dir, 0o755))
	}
	r := &run{t: t, name: name, source: source, dir: t.TempDir(), next: number, ids: ids}
	dir := t.TempDir()
	r.openTo(dir)
	r.start(dir, program)
	for round := range 2 {
		r.again(fmt.Sprint(round))
	}
	r.judge()
}

func idMappedByLXC(t *testing.T, name, program string) {
	t.Helper()
	c := startContainer(t, name, program, append([]string{"lxc.rootfs.options = idmap=container"}, harness.IDMapLines()...)...)
	for range 2 {
		harness.Silent(t, "lxc-checkpoint", "-P", c.path, "-n", c.name, "-S", c.statefile("live"))
	}
	for range 2 {
		harness.Silent(t, "lxc-checkpoint", "-P", c.path, "-n", c.name, "-S", c.statefile("killed"), "-k")
		harness.Silent(t, "lxc-restart", "-P", c.path, "-n", c.name, "-S", c.statefile("killed"))
	}
	judge(t, c)
}

// openTo lets the users of the container into its directory, which is theirs, and
// has their log, which is there before the container is.
func (r *run) openTo(dir string) {
	r.t.Helper()
	must(r.t, os.Chmod(filepath.Dir(dir), 0o755))
	log := filepath.Join(dir, "log")
	must(r.t, os.WriteFile(log, nil, 0o666))
	for _, file := range []string{dir, log} {
		must(r.t, os.Chown(file, harness.FirstID, harness.FirstID))
		must(r.t, os.Chmod(file, 0o777))
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// again kills the container by a checkpoint and restarts it.
func (r *run) again(statefile string) {
	r.t.Helper()
	file := r.statefile(statefile)
	harness.Silent(r.t, "lxc-checkpoint", "--cgroup="+r.tree.Cgroup.Dir, "-S", file, "-k")
	if err := r.tree.Pids(0, 5*time.Second); err != nil {
		r.t.Fatalf("killed, but: %v", err)
	}
	r.tree.Move(r.cgroup())
	harness.Silent(r.t, "lxc-restart", "--native", "--cgroup="+r.tree.Cgroup.Dir, "-n", r.name, "-S", file)
}
