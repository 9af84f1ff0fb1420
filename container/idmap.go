package container

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"lxc-checkpoint/internal/procfs"
)

// IDMaps are the numbers that users and groups of the container have on the host, as
// the config says (lxc.idmap); none: it has no user namespace of its own.
func (c *Config) IDMaps() (uids, gids []procfs.IDRange, err error) {
	for _, line := range c.All("lxc.idmap") {
		f := strings.Fields(line)
		if len(f) != 4 {
			return nil, nil, fmt.Errorf("lxc.idmap = %s: it has to be a kind (u, g or b), an id inside, one outside and a count", line)
		}
		var n [3]uint32
		for i := range n {
			v, err := strconv.ParseUint(f[i+1], 10, 32)
			if err != nil {
				return nil, nil, fmt.Errorf("lxc.idmap = %s: %q is no id", line, f[i+1])
			}
			n[i] = uint32(v)
		}
		r := procfs.IDRange{Inside: n[0], Outside: n[1], Count: n[2]}
		switch f[0] {
		case "u":
			uids = append(uids, r)
		case "g":
			gids = append(gids, r)
		case "b":
			uids, gids = append(uids, r), append(gids, r)
		default:
			return nil, nil, fmt.Errorf("lxc.idmap = %s: %q is neither u, g nor b", line, f[0])
		}
	}
	for _, list := range [][]procfs.IDRange{uids, gids} {
		slices.SortFunc(list, func(a, b procfs.IDRange) int { return cmp.Compare(a.Inside, b.Inside) })
	}
	return uids, gids, nil
}
