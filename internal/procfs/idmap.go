package procfs

import (
	"fmt"
	"strconv"
	"strings"
)

// IDRange is a line of uid_map or gid_map (user_namespaces(7)).
type IDRange struct{ Inside, Outside, Count uint32 }

// ReadIDMap reads /proc/PID/uid_map or gid_map. The ids outside are those of the
// reader's user namespace.
func ReadIDMap(path string) ([]IDRange, error) {
	text, err := ReadFile(path)
	if err != nil {
		return nil, err
	}
	all, err := ParseIDMap(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return all, nil
}

// ParseIDMap parses lines "INSIDE OUTSIDE COUNT".
func ParseIDMap(text string) ([]IDRange, error) {
	var all []IDRange
	for line := range strings.Lines(text) {
		var n [3]uint32
		f := strings.Fields(line)
		bad := len(f) != len(n)
		for i := 0; i < len(n) && !bad; i++ {
			v, err := strconv.ParseUint(f[i], 10, 32)
			n[i], bad = uint32(v), err != nil
		}
		if bad {
			return nil, fmt.Errorf("a line is not as user_namespaces(7) has it: %q", line)
		}
		all = append(all, IDRange{n[0], n[1], n[2]})
	}
	return all, nil
}
