package view

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/elsewhere"
	"lxc-checkpoint/internal/procfs"
)

// Root is the root of a mount namespace, from which the kernel counts the
// paths that it shows in /proc/PID/maps and in links such as /proc/PID/exe.
type Root struct{ fd int }

// OpenRoot opens the root of the mount namespace that a process is in. This is
// not /proc/PID/root, which shows where the process has chrooted to.
func OpenRoot(pid int) (*Root, error) {
	r := &Root{-1}
	err := elsewhere.AtRoot(fmt.Sprintf("/proc/%d/ns/mnt", pid), func(int) (err error) {
		r.fd, err = unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open the root of process %d's mount namespace: %w", pid, err)
	}
	return r, nil
}

// ReadMounts reads the mounts of a mount namespace, /proc/PID/ns/mnt, from its root:
// /proc/PID/mountinfo of a process that has chrooted shows only what lies below.
func ReadMounts(namespace string) ([]*procfs.Mount, error) {
	var all []*procfs.Mount
	err := elsewhere.AtRoot(namespace, func(proc int) (err error) {
		all, err = MountsHere(proc)
		return err
	})
	return all, err
}

// MountsHere are the mounts that the thread sees; proc is the directory /proc.
func MountsHere(proc int) ([]*procfs.Mount, error) {
	fd, err := unix.Openat(proc, "thread-self/mountinfo", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "mountinfo")
	defer f.Close()
	return procfs.ParseMounts(f)
}

// RootOf is the root that a descriptor is of, which stays the caller's.
func RootOf(fd int) *Root { return &Root{fd} }

// Close closes it.
func (r *Root) Close() { unix.Close(r.fd) }

// FD is the descriptor of the root (O_PATH).
func (r *Root) FD() int { return r.fd }

// NestedRoot is the root of a mount namespace that a program in the container
// has made.
type NestedRoot struct {
	*Root
	ID     uint32       // of its format.Namespace
	Mounts map[int]bool // the numbers of its mounts
}

// Stat looks at the file of a path that the kernel showed: absolute, without
// symbolic links. Whatever the path, it does not leave the root.
func (r *Root) Stat(path string) (unix.Stat_t, error) {
	var st unix.Stat_t
	fd, err := unix.Openat2(r.fd, strings.TrimLeft(path, "/"), &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT,
	})
	if err == unix.ENOENT && strings.Trim(path, "/") == "" {
		fd, err = unix.Dup(r.fd)
	}
	if err != nil {
		return st, &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	if err := unix.Fstat(fd, &st); err != nil {
		return st, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	return st, nil
}

// Other finds a file that is no longer at a path under another name in the same
// directory: an editor's or logrotate's way with files. "" if there is none.
func (r *Root) Other(path string, st *unix.Stat_t) string {
	dir, _ := filepath.Split(strings.TrimSuffix(path, " (deleted)"))
	fd, err := unix.Openat2(r.fd, strings.TrimLeft(dir, "/"), &unix.OpenHow{
		Flags: unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_NOATIME | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT,
	})
	if err != nil || st.Nlink == 0 {
		return ""
	}
	d := os.NewFile(uintptr(fd), dir)
	defer d.Close()
	for {
		entries, err := d.ReadDir(1000)
		if err != nil || len(entries) == 0 {
			return ""
		}
		for _, e := range entries {
			there, err := r.Stat(dir + e.Name())
			if err == nil && SameFile(&there, st) {
				return dir + e.Name()
			}
		}
	}
}

// Device packs a device number as the image has it: major<<32 | minor.
func Device(dev uint64) uint64 {
	return uint64(unix.Major(dev))<<32 | uint64(unix.Minor(dev))
}

// Identity says which file is at a path.
func Identity(path string, st *unix.Stat_t) *format.FileIdentity {
	id := &format.FileIdentity{
		Path:    path,
		Device:  Device(uint64(st.Dev)),
		Inode:   st.Ino,
		Size:    uint64(st.Size),
		MtimeNs: st.Mtim.Nano(),
		Mode:    st.Mode,
	}
	if t := st.Mode & unix.S_IFMT; t == unix.S_IFCHR || t == unix.S_IFBLK {
		id.Rdev = Device(uint64(st.Rdev))
	}
	return id
}

// SameFile says whether two looks were at one file.
func SameFile(a, b *unix.Stat_t) bool { return a.Dev == b.Dev && a.Ino == b.Ino }
