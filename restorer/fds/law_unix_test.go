package fds

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	dumper "lxc-checkpoint/dumper/fds"
	dumperview "lxc-checkpoint/dumper/view"
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/refusal"
)

func unixSocketFile(id uint32, u *format.UnixSocket) *format.OpenFile {
	return &format.OpenFile{Id: id, Flags: unix.O_RDWR, Kind: &format.OpenFile_UnixSocket{UnixSocket: u}}
}

// unixSamples are UNIX sockets that are connected with each other, and fill the
// queues of the open files 16 and 17.
func unixSamples(s *format.Skeleton) []*format.OpenFile {
	one := &format.PeerCredentials{Pid: 1}
	other := &format.PeerCredentials{Pid: 1, Uid: 12, Gid: 34, Groups: []uint32{5, 6}}
	s.OpenFiles[15].GetUnixSocket().Queue = []*format.UnixMessage{
		{Data: []byte("first"), Sender: 126}, {Data: []byte("second"), Sender: 127, SenderAddress: []byte("\x00sender")},
		{Data: []byte("third"), SenderAddress: []byte("/run/dead")}, {Data: []byte("fourth"), Sender: 126, Rights: []uint32{119}},
	}
	s.OpenFiles[16].GetUnixSocket().Waiting = []uint32{123}
	return []*format.OpenFile{
		// A pair with unread bytes both ways, some of them with descriptors.
		unixSocketFile(119, &format.UnixSocket{Type: unix.SOCK_STREAM, Peer: 120, PeerCredentials: one, Queue: []*format.UnixMessage{
			{Data: []byte("without")}, {Data: []byte("with"), Rights: []uint32{11, 119, 135}}, {Data: []byte("as somebody"), Credentials: &format.PeerCredentials{Pid: 1, Uid: 7, Gid: 8}},
		}}),
		unixSocketFile(120, &format.UnixSocket{Type: unix.SOCK_STREAM, Peer: 119, PeerCredentials: one, Queue: []*format.UnixMessage{{Data: bytes.Repeat([]byte("much"), 50_000)}}}),
		// A connection to 17, and another one that waits there.
		unixSocketFile(121, &format.UnixSocket{Type: unix.SOCK_STREAM, Peer: 122, PeerCredentials: one, Shutdown: 2}),
		unixSocketFile(122, &format.UnixSocket{Type: unix.SOCK_STREAM, Peer: 121, PeerCredentials: other, Address: []byte("\x00name"), Accepted: true, Shutdown: 1}),
		unixSocketFile(123, &format.UnixSocket{Type: unix.SOCK_STREAM, Peer: 17, PeerCredentials: one}),
		// Datagrams: a pair; two senders; one whose receiver is closed.
		unixSocketFile(124, &format.UnixSocket{Type: unix.SOCK_DGRAM, Peer: 125, PeerCredentials: other, Queue: []*format.UnixMessage{{Data: []byte("one"), Sender: 125}, {Sender: 125}}}),
		unixSocketFile(125, &format.UnixSocket{Type: unix.SOCK_DGRAM, Peer: 124, PeerCredentials: other}),
		unixSocketFile(126, &format.UnixSocket{Type: unix.SOCK_DGRAM, Peer: 16}),
		unixSocketFile(127, &format.UnixSocket{Type: unix.SOCK_DGRAM, Peer: 16, Address: []byte("\x00sender")}),
		unixSocketFile(128, &format.UnixSocket{Type: unix.SOCK_DGRAM, PeerClosed: true, PeerAddress: []byte("/run/closed")}),
		// Peers that are closed: with and without an unread byte of ours.
		unixSocketFile(129, &format.UnixSocket{Type: unix.SOCK_STREAM, PeerClosed: true, PeerCredentials: one, Shutdown: 3, ResetByPeer: true, Queue: []*format.UnixMessage{{Data: []byte("last words")}}}),
		unixSocketFile(130, &format.UnixSocket{Type: unix.SOCK_SEQPACKET, PeerClosed: true, PeerCredentials: one, Shutdown: 3, Queue: []*format.UnixMessage{{Data: []byte("packet")}, {}, {Data: []byte("again")}}}),
		unixSocketFile(131, &format.UnixSocket{Type: unix.SOCK_STREAM, PeerClosed: true, PeerAddress: []byte("\x00gone"), PeerCredentials: one, Shutdown: 3}),
		unixSocketFile(132, &format.UnixSocket{Type: unix.SOCK_STREAM, PeerClosed: true, Address: []byte("/run/gone"), PeerCredentials: other, Shutdown: 3, Accepted: true}),
	}
}

// TestUnixOutside: a socket whose peer is ours, and one that is ours.
func TestUnixOutside(t *testing.T) {
	h := newHelper(t)
	h.call(unix.SYS_SOCKETPAIR, unix.AF_UNIX, unix.SOCK_STREAM, 0, h.scratch)
	b := make([]byte, 8)
	must(t, h.Read(h.scratch, b))
	first, second := binary.NativeEndian.Uint32(b), binary.NativeEndian.Uint32(b[4:])
	ours, err := h.Take(int(first))
	must(t, err)
	defer unix.Close(ours)
	h.call(unix.SYS_CLOSE, uint64(first))
	wantRefused := func(number uint32, reason string) {
		t.Helper()
		for _, r := range refusals(t, h) {
			if r.Object == fmt.Sprintf("descriptor %d", number) {
				if !strings.Contains(r.Reason, reason) || r.Remedy == "" {
					t.Errorf("refused: %v", r)
				}
				return
			}
		}
		t.Errorf("descriptor %d is not refused", number)
	}
	wantRefused(second, "outside the container")
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	sent, err := h.Send(pair[:1])
	must(t, err)
	wantRefused(uint32(sent[0]), "outside the container's network namespace")
}

func refusals(t *testing.T, h *helper) []*refusal.Refusal {
	t.Helper()
	_, refused, err := dumper.Look(t.Context(), dumper.Env{First: h.pid, IDs: &dumperview.IDs{}}, []dumper.Table{{ID: 1000, PID: h.pid, NSPID: 1, Command: "helper"}})
	must(t, err)
	return refused
}
