package container

import (
	"strconv"
	"strings"
)

// Memory estimates how many bytes a checkpoint of the container has to save
// before they are compressed: what its processes have of anonymous memory,
// swapped out or not, and the most that any of them has of shared memory
// (RssAnon, VmSwap, RssShmem of /proc/PID/status). It is cheap, and only as
// exact as processes that run meanwhile let it be.
func (c *Container) Memory() (uint64, error) {
	pids, err := c.Processes()
	if err != nil {
		return 0, err
	}
	var private, shared uint64
	for _, pid := range pids {
		private += kib(pid, "RssAnon") + kib(pid, "VmSwap")
		shared = max(shared, kib(pid, "RssShmem"))
	}
	return private + shared, nil
}

// kib returns the bytes that a line of /proc/PID/status gives in kB, 0 if the
// process is gone.
func kib(pid int, key string) uint64 {
	words := statusLine(pid, key)
	if len(words) != 2 || !strings.EqualFold(words[1], "kB") {
		return 0
	}
	n, _ := strconv.ParseUint(words[0], 10, 54)
	return n << 10
}
