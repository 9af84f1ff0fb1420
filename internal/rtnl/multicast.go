package rtnl

import (
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Multicast lists the link-layer addresses of groups that interfaces of the thread's
// network namespace were told to listen to (ip maddr add), by the interface's
// number. Those that protocols have joined follow from what these have.
func Multicast() (map[uint32][][]byte, error) {
	const file = "/proc/thread-self/net/dev_mcast"
	text, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	all := map[uint32][][]byte{}
	for line := range strings.Lines(string(text)) {
		// Number, name, users, whether it was told so, address (net/core/dev_addr_lists.c).
		f := strings.Fields(line)
		if len(f) != 5 {
			return nil, fmt.Errorf("a line of %s is not as this version knows it: %q", file, line)
		}
		index, err := strconv.ParseUint(f[0], 10, 32)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if f[3] == "0" {
			continue
		}
		address, err := hex.DecodeString(f[4])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all[uint32(index)] = append(all[uint32(index)], address)
	}
	return all, nil
}
