package tasks

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// memoryPolicy asks for what set_mempolicy(2) has set: the mode with its flags,
// and a mask of nodes; 0 and nil if nothing.
func (q *question) memoryPolicy() (mode uint32, nodes []byte) {
	const (
		maxNodes = 1024 // 1 << CONFIG_NODES_SHIFT at most
		atMask   = 8
	)
	_, e := q.try(unix.SYS_GET_MEMPOLICY, q.scratch, q.scratch+atMask, maxNodes, 0, 0)
	if e != 0 || q.err != nil { // ENOSYS: a kernel without NUMA
		return 0, nil
	}
	b := make([]byte, atMask+maxNodes/8)
	if q.err = q.r.Read(q.scratch, b); q.err != nil {
		return 0, nil
	}
	if mode = binary.LittleEndian.Uint32(b); mode == unix.MPOL_DEFAULT {
		return 0, nil
	}
	return mode, bytes.TrimRight(b[atMask:], "\x00")
}
