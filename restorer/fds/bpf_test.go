package fds

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/internal/sys"
)

// cgroup2 makes a cgroup of the v2 hierarchy.
func cgroup2(t *testing.T) (dir string, fd int) {
	t.Helper()
	need.Check(t, need.Root)
	text, err := os.ReadFile("/proc/self/mountinfo")
	must(t, err)
	for _, m := range procfs.ParseCgroupMounts(string(text)) {
		if m.Version != 2 {
			continue
		}
		dir = filepath.Join(m.Mountpoint, fmt.Sprintf("lxc-checkpoint-bpf-%d", os.Getpid()))
		must(t, os.Mkdir(dir, 0o755))
		t.Cleanup(func() { must(t, os.Remove(dir)) })
		fd, err = unix.Open(dir, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		must(t, err)
		t.Cleanup(func() { unix.Close(fd) })
		return dir, fd
	}
	t.Skip("no hierarchy of cgroups v2 is mounted here")
	return "", -1
}

// TestAttachOnce: what LXC has attached is not attached twice; what a process
// holds takes the place of what is left there; and all of it can be undone.
func TestAttachOnce(t *testing.T) {
	dir, cgroup := cgroup2(t)
	allow := bpfAllow[16:]
	program := func(id uint32, name string) *format.BpfProgram {
		return &format.BpfProgram{Id: id, Type: unix.BPF_PROG_TYPE_CGROUP_DEVICE, Name: name, Gpl: true, Instructions: allow}
	}
	const point, multi = unix.BPF_CGROUP_DEVICE, unix.BPF_F_ALLOW_MULTI
	// Another program than the first two, by its tag.
	other := program(3, "other")
	other.Instructions = append([]byte{0xb7, 1, 0, 0, 0, 0, 0, 0}, allow...)
	s := &format.Skeleton{
		BpfPrograms:    []*format.BpfProgram{program(1, "held"), program(2, "lxc"), other},
		BpfAttachments: []*format.BpfAttachment{{Cgroup: "/", Type: point, Flags: multi, Programs: []uint32{1, 2, 3}}},
	}
	restart := func() *Restart {
		held := &format.OpenFile{Kind: &format.OpenFile_BpfProgram{BpfProgram: &format.BpfFile{Object: 1}}}
		return &Restart{skeleton: s, bpf: map[uint32]*bpfObject{}, Finder: NewFinder(-1, slog.New(slog.DiscardHandler)), files: []*file{{OpenFile: held, kind: kinds()["bpf_program"], fd: -1}}}
	}
	// What is there before: two that are the same.
	before := restart()
	for _, id := range []uint32{1, 2} {
		p, err := before.bpfProgram(id)
		must(t, err)
		must(t, sys.BPFAttach(cgroup, p.fd, point, multi))
	}
	there := func() []uint32 {
		var ids [format.MaxAttached]uint32
		n, _, err := sys.BPFQuery(cgroup, point, ids[:])
		must(t, err)
		return ids[:n]
	}
	old := there()

	r := restart()
	must(t, r.AttachPrograms(func(string) (string, error) { return dir, nil }))
	now := there()
	if len(now) != 3 || now[0] != old[1] || now[1] != r.bpf[1].id || now[2] != r.bpf[3].id {
		t.Errorf("attached before: %v, now: %v; the new ones are %d, %d and %d", old, now, r.bpf[1].id, r.bpf[2].id, r.bpf[3].id)
	}
	r.DetachPrograms()
	if left := there(); len(left) != 1 || left[0] != old[1] {
		t.Errorf("attached before: %v, undone: %v", old, left)
	}
	must(t, r.Close())
	must(t, before.Close())
}
