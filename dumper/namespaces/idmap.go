package namespaces

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/elsewhere"
	"lxc-checkpoint/internal/sys"
)

// lookAtIDMaps asks for the maps of id-mapped mounts, but for those of the container's
// root and its copies: their map is that of the container's users.
func (r *Result) lookAtIDMaps() error {
	for _, n := range r.order {
		for _, m := range n.Mounts {
			if !m.IsIDMapped() || r.isOfRoot(m) {
				continue
			}
			if err := lookAtIDMap(n, m); err != nil {
				return fmt.Errorf("the map of the id-mapped mount %s: %w", m.Mountpoint, err)
			}
		}
	}
	return nil
}

// lookAtIDMap asks for one. It stays unknown where the kernel does not tell, or the
// mount is covered.
func lookAtIDMap(n *object, m *format.Mount) error {
	return elsewhere.AtRoot(n.path(), func(int) error {
		fd, err := unix.Open(m.Mountpoint, unix.O_PATH|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
		if err != nil {
			return nil
		}
		defer unix.Close(fd)
		var old, st unix.Statx_t
		if err := errors.Join(unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &old), unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID_UNIQUE, &st)); err != nil {
			return err
		}
		if old.Mnt_id != uint64(m.MountId) || st.Mask&unix.STATX_MNT_ID_UNIQUE == 0 {
			return nil
		}
		uids, gids, ok, err := sys.MountIDMaps(st.Mnt_id)
		if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) || err == nil && !ok {
			return nil
		}
		if err != nil {
			return err
		}
		if m.Uids, err = idRanges(uids); err == nil {
			m.Gids, err = idRanges(gids)
		}
		return err
	})
}

func idRanges(texts []string) ([]*format.IdRange, error) {
	var all []*format.IdRange
	for _, text := range texts {
		var n [3]uint32
		fields := strings.Fields(text)
		if len(fields) != len(n) {
			return nil, fmt.Errorf("a range of ids is %q", text)
		}
		for i, f := range fields {
			v, err := strconv.ParseUint(f, 10, 32)
			if err != nil {
				return nil, err
			}
			n[i] = uint32(v)
		}
		all = append(all, &format.IdRange{Inside: n[0], Outside: n[1], Count: n[2]})
	}
	return all, nil
}
