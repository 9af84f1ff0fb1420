package namespaces

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/refusal"
)

// Mounts are what LookAtMounts has to know.
type Mounts struct {
	PID int // host's, of the container's first process
	// Configured are the places where the container's config mounts; nil if
	// that is not known.
	Configured []string
}

// LookAtMounts refuses what is in the container's own mount namespace and ends
// with it: mounts that a program has made, and files in a tmpfs. A restart has
// only the mounts that LXC makes from the config, and those are empty.
func LookAtMounts(m Mounts) (refusal.List, error) {
	theirs, err := procfs.ReadMounts(m.PID)
	if err != nil {
		return nil, err
	}
	ours, err := procfs.ReadMounts(os.Getpid())
	if err != nil {
		return nil, err
	}
	root, err := unix.Open(fmt.Sprintf("/proc/%d/root", m.PID), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open the container's root directory: %w", err)
	}
	defer unix.Close(root)
	var refused refusal.List
	for _, mount := range theirs {
		if m.Configured != nil && !lxcMakes(mount.Mountpoint, m.Configured) {
			refused = append(refused, &refusal.Refusal{
				Object: "mount " + mount.Mountpoint, Kind: mount.FSType,
				Reason: "it was made inside the container, and this version can't make it again",
				Remedy: "unmount it, or have LXC make it (lxc.mount.entry in the container's config)",
			})
			continue
		}
		if mount.FSType != "tmpfs" && mount.FSType != "ramfs" || mount.Root != "/" || outlives(mount, ours) {
			continue
		}
		r, err := files(root, mount)
		if err != nil {
			return nil, err
		}
		refused = append(refused, r...)
	}
	return refused, nil
}

// lxcMakes tells whether LXC mounts at a place: its own (the root, /proc, /sys,
// /dev), or one that the config names.
func lxcMakes(place string, configured []string) bool {
	for _, own := range append([]string{"/proc", "/sys", "/dev"}, configured...) {
		if place == own || strings.HasPrefix(place, own+"/") {
			return true
		}
	}
	return place == "/"
}

// outlives tells whether the file system of a mount is one of the host's too.
func outlives(m *procfs.Mount, ours []*procfs.Mount) bool {
	return slices.ContainsFunc(ours, func(o *procfs.Mount) bool { return o.Major == m.Major && o.Minor == m.Minor })
}

// files refuses a file system in memory that has files with content, or FIFOs.
// Empty files are what LXC mounts its devices on; nodes, links and directories
// are LXC's and come back as it makes them.
func files(root int, mount *procfs.Mount) (refusal.List, error) {
	fd, err := unix.Openat2(root, mount.Mountpoint, &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT,
	})
	if err == unix.ENOENT || err == unix.ENOTDIR {
		return nil, nil // something is mounted over it, or it is of a single file
	}
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: mount.Mountpoint, Err: err}
	}
	defer unix.Close(fd)
	device := unix.Mkdev(uint32(mount.Major), uint32(mount.Minor))
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Dev != device {
		return nil, err // something is mounted over it
	}
	first, count := "", 0
	top := fmt.Sprintf("/proc/self/fd/%d/.", fd)
	err = filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		var st unix.Stat_t
		if err == nil {
			err = unix.Lstat(path, &st)
		}
		if err != nil {
			return err
		}
		if st.Dev != device && d.IsDir() {
			return fs.SkipDir // another mount
		}
		content := st.Mode&unix.S_IFMT == unix.S_IFREG && st.Size > 0 || st.Mode&unix.S_IFMT == unix.S_IFIFO
		if st.Dev == device && content && d.Name() != ".lxc-boot-id" {
			if count++; first == "" {
				first = filepath.Join(mount.Mountpoint, strings.TrimPrefix(path, filepath.Clean(top)))
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look at the files in %s: %w", mount.Mountpoint, err)
	}
	if count == 0 {
		return nil, nil
	}
	return refusal.List{{
		Object: "mount " + mount.Mountpoint, Kind: mount.FSType,
		Reason: fmt.Sprintf("it ends with the container, and %d files in it, the first %s, can't be saved by this version", count, first),
		Remedy: "remove them, or keep them on the root file system",
	}}, nil
}
