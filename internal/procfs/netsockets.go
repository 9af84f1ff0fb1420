package procfs

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// NetSocket is a line of /proc/PID/net/tcp and files like it (proc_pid_net(5)).
type NetSocket struct {
	Local, Remote netip.AddrPort
	State         uint8
	Send, Receive uint32 // bytes in its queues; of a listening socket, Receive are connections
	Inode         uint64 // 0: no process has it
}

// ReadNetSockets reads the file of a name (tcp, tcp6, raw …) that shows the
// network namespace of a process.
func ReadNetSockets(pid int, name string) ([]NetSocket, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, name))
	if err != nil {
		return nil, err
	}
	var all []NetSocket
	first := true
	for line := range strings.Lines(string(b)) {
		if first { // the heading
			first = false
			continue
		}
		s, err := netSocket(line)
		if err != nil {
			return nil, fmt.Errorf("a line of /proc/net/%s is not as known: %q: %w", name, line, err)
		}
		all = append(all, s)
	}
	return all, nil
}

func netSocket(line string) (s NetSocket, err error) {
	const local, remote, state, queues, inode = 1, 2, 3, 4, 9
	fields := strings.Fields(line)
	if len(fields) <= inode {
		return s, fmt.Errorf("%d fields", len(fields))
	}
	if s.Local, err = netAddress(fields[local]); err != nil {
		return s, err
	}
	if s.Remote, err = netAddress(fields[remote]); err != nil {
		return s, err
	}
	n, err := strconv.ParseUint(fields[state], 16, 8)
	if err != nil {
		return s, err
	}
	s.State = uint8(n)
	send, receive, _ := strings.Cut(fields[queues], ":")
	for _, q := range []struct {
		text string
		to   *uint32
	}{{send, &s.Send}, {receive, &s.Receive}} {
		if n, err = strconv.ParseUint(q.text, 16, 32); err != nil {
			return s, err
		}
		*q.to = uint32(n)
	}
	s.Inode, err = strconv.ParseUint(fields[inode], 10, 64)
	return s, err
}

// netAddress reads an address: words of 32 bits, each as a number of the
// machine's own byte order, and the port.
func netAddress(text string) (netip.AddrPort, error) {
	address, port, _ := strings.Cut(text, ":")
	words, err := hex.DecodeString(address)
	if err != nil {
		return netip.AddrPort{}, err
	}
	n, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, err
	}
	for i := 0; i+4 <= len(words); i += 4 {
		binary.NativeEndian.PutUint32(words[i:], binary.BigEndian.Uint32(words[i:]))
	}
	a, ok := netip.AddrFromSlice(words)
	if !ok {
		return netip.AddrPort{}, fmt.Errorf("an address of %d bytes", len(words))
	}
	return netip.AddrPortFrom(a, uint16(n)), nil
}
