package fds

import (
	"encoding/binary"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
)

func readFile(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	must(t, err)
	return string(b)
}

func number(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }

func tcp(id uint32, family uint32, address []byte, port uint32, options ...*format.SocketOption) *format.OpenFile {
	return &format.OpenFile{Id: id, Flags: unix.O_RDWR | unix.O_NONBLOCK, Kind: &format.OpenFile_TcpListener{TcpListener: &format.TcpListener{
		Family: family, Address: address, Port: port, Backlog: 7, Options: options}}}
}

// connect connects a new socket of the helper's to an address, and says how
// that went. The socket stays open.
func (h *helper) connect(family, typ uint64, address []byte) error {
	fd := h.call(unix.SYS_SOCKET, family, typ|unix.SOCK_NONBLOCK, 0)
	_, err := h.Call(unix.SYS_CONNECT, fd, h.give(address), uint64(len(address)))
	if err == unix.EINPROGRESS {
		return nil
	}
	return err
}

func TestTCPListeners(t *testing.T) {
	h := newHelper(t)
	any6 := make([]byte, 16)
	s := &format.Skeleton{OpenFiles: []*format.OpenFile{
		tcp(1, unix.AF_INET, []byte{127, 0, 0, 1}, 6379, &format.SocketOption{Level: unix.SOL_SOCKET, Name: unix.SO_REUSEADDR, Value: number(1)}),
		tcp(2, unix.AF_INET6, any6, 80, &format.SocketOption{Level: unix.IPPROTO_IPV6, Name: unix.IPV6_V6ONLY, Value: number(1)}),
		tcp(3, unix.AF_INET, []byte{0, 0, 0, 0}, 80),
	}}
	s.Files = []*format.Files{at(s.OpenFiles...)}
	build(t, s, h)
	table := readFile(t, h.root("/proc/1/net/tcp")) + readFile(t, h.root("/proc/1/net/tcp6"))
	for _, a := range []string{"0100007F:18EB", strings.Repeat("0", 32) + ":0050", " 00000000:0050"} {
		if !strings.Contains(table, a) {
			t.Errorf("nothing listens on %s:\n%s", a, table)
		}
	}
	must(t, h.connect(unix.AF_INET, unix.SOCK_STREAM, append([]byte{unix.AF_INET, 0, 0x18, 0xeb, 127, 0, 0, 1}, make([]byte, 8)...)))
	h.call(unix.SYS_ACCEPT4, 10, 0, 0, 0)
	if _, err := h.Call(unix.SYS_ACCEPT4, 10, 0, 0, 0); err != unix.EAGAIN {
		t.Errorf("it does not block, but accept says %v", err)
	}
	h.call(unix.SYS_GETSOCKOPT, 10, unix.SOL_SOCKET, unix.SO_REUSEADDR, h.scratch, h.scratchInt(4))
	b := make([]byte, 4)
	must(t, h.Read(h.scratch, b))
	if b[0] != 1 {
		t.Error("SO_REUSEADDR is not set")
	}

	_, err := tryBuild(t, &format.Skeleton{OpenFiles: s.OpenFiles[:1]}, h)
	wantError(t, err, "127.0.0.1:6379", "another socket of the container's network namespace has that address")
	_, err = tryBuild(t, &format.Skeleton{OpenFiles: []*format.OpenFile{tcp(1, unix.AF_INET, []byte{10, 1, 2, 3}, 80)}}, h)
	wantError(t, err, "10.1.2.3:80", "no interface")
	_, err = tryBuild(t, &format.Skeleton{OpenFiles: []*format.OpenFile{tcp(1, unix.AF_INET, []byte{10, 1, 2}, 80)}}, h)
	wantError(t, err, "makes no sense")
}

// scratchInt writes a number behind the part of the scratch memory that answers
// are put into, and returns its address.
func (h *helper) scratchInt(v uint32) uint64 {
	h.t.Helper()
	must(h.t, h.Write(h.scratch+4096, number(v)))
	return h.scratch + 4096
}

func TestTCPListenerAfterItsOwnConnections(t *testing.T) {
	h := newHelper(t)
	f := tcp(1, unix.AF_INET, []byte{127, 0, 0, 1}, 6379, &format.SocketOption{Level: unix.SOL_SOCKET, Name: unix.SO_REUSEADDR, Value: number(1)})
	s := &format.Skeleton{OpenFiles: []*format.OpenFile{f}, Files: []*format.Files{at(f)}}
	must(t, build(t, s, h).Close())
	h.connect(unix.AF_INET, unix.SOCK_STREAM, append([]byte{unix.AF_INET, 0, 0x18, 0xeb, 127, 0, 0, 1}, make([]byte, 8)...))
	accepted := h.call(unix.SYS_ACCEPT4, 10, 0, 0, 0)
	h.call(unix.SYS_CLOSE, accepted) // the server closes first: TIME_WAIT is on its side
	for _, n := range h.open() {
		h.call(unix.SYS_CLOSE, uint64(n))
	}
	if tcp := readFile(t, h.root("/proc/1/net/tcp")); !strings.Contains(tcp, "0100007F:18EB") {
		t.Fatalf("nothing in TIME_WAIT:\n%s", tcp)
	}
	build(t, s, h)
}

func unixAddress(s string) []byte {
	b := append([]byte{unix.AF_UNIX, 0}, s...)
	if s[0] != 0 {
		b = append(b, 0)
	}
	return b
}

func TestUnixSockets(t *testing.T) {
	h := newHelper(t)
	socket := func(id, typ uint32, address, path string, listening bool) *format.OpenFile {
		return &format.OpenFile{Id: id, Flags: unix.O_RDWR, Kind: &format.OpenFile_UnixSocket{UnixSocket: &format.UnixSocket{
			Type: typ, Address: []byte(address), Path: path, Mode: unix.S_IFSOCK | 0o4666, Uid: 5, Gid: 6, Listening: listening, Backlog: 3}}}
	}
	must(t, os.Symlink("/run", h.root("/data/symlink")))
	must(t, os.Mkdir(h.root("/data/sub"), 0o755))
	must(t, unix.Mknod(h.root("/run/left"), unix.S_IFSOCK|0o600, 0)) // as a closed socket leaves it
	must(t, os.WriteFile(h.root("/run/gone"), []byte("another file"), 0o644))
	s := &format.Skeleton{
		Fs: []*format.Fs{{Id: 900, Root: "/", Cwd: "/data/sub"}, {Id: 901, Root: "/jail", Cwd: "/jail/run"}},
		OpenFiles: []*format.OpenFile{
			socket(1, unix.SOCK_DGRAM, "/run/log", "/run/log", false),
			socket(2, unix.SOCK_STREAM, "/run/left", "/run/left", true),
			socket(3, unix.SOCK_SEQPACKET, "\x00abstract\x00name", "", true),
			socket(4, unix.SOCK_STREAM, "/data/symlink/s", "/run/s", true),
			socket(5, unix.SOCK_STREAM, "relative", "/data/sub/relative", true),
			socket(6, unix.SOCK_STREAM, "../up", "/data/up", true),
			socket(7, unix.SOCK_STREAM, "/run/jailed", "/jail/run/jailed", true),
			socket(8, unix.SOCK_STREAM, "injail", "/jail/run/injail", true),
			socket(9, unix.SOCK_STREAM, "/run/gone", "", true), // its file was removed, and another one has its place
			socket(10, unix.SOCK_STREAM, "", "", false),
			socket(11, unix.SOCK_STREAM, "@notabstract", "/data/sub/@notabstract", true),
		},
	}
	s.OpenFiles[0].GetUnixSocket().Options = []*format.SocketOption{{Level: unix.SOL_SOCKET, Name: unix.SO_PASSCRED, Value: number(1)},
		{Level: unix.SOL_SOCKET, Name: unix.SO_RCVBUF, Value: number(1 << 24)}} // more than net.core.rmem_max
	s.Files = []*format.Files{at(s.OpenFiles...)}
	build(t, s, h)
	for i, f := range s.OpenFiles {
		m := f.GetUnixSocket()
		h.call(unix.SYS_GETSOCKNAME, uint64(10+i), h.scratch, h.scratchInt(110))
		size := make([]byte, 4)
		must(t, h.Read(h.scratch+4096, size))
		name := make([]byte, binary.NativeEndian.Uint32(size))
		must(t, h.Read(h.scratch, name))
		want := string(m.Address)
		if want != "" && want[0] != 0 {
			want += "\x00"
		}
		if string(name[2:]) != want {
			t.Errorf("descriptor %d is bound to %q, not %q", 10+i, name[2:], want)
		}
		if m.Path != "" {
			var st unix.Stat_t
			if err := unix.Lstat(h.root(m.Path), &st); err != nil || st.Mode != m.Mode || st.Uid != 5 || st.Gid != 6 {
				t.Errorf("%s: %v, mode %#o, owner %d:%d", m.Path, err, st.Mode, st.Uid, st.Gid)
			}
		}
	}
	if readFile(t, h.root("/run/gone")) != "another file" {
		t.Error("another file than the socket's was touched")
	}
	if e, _ := os.ReadDir(h.root("/run")); len(e) != 4 {
		t.Errorf("something is left over in /run: %v", e)
	}
	for address, typ := range map[string]uint64{"/run/log": unix.SOCK_DGRAM, "/run/left": unix.SOCK_STREAM, "\x00abstract\x00name": unix.SOCK_SEQPACKET,
		"/run/s": unix.SOCK_STREAM, "/data/sub/relative": unix.SOCK_STREAM, "/jail/run/jailed": unix.SOCK_STREAM} {
		if err := h.connect(unix.AF_UNIX, typ, unixAddress(address)); err != nil {
			t.Errorf("connect to %q: %v", address, err)
		}
	}
	log, err := h.Take(10)
	must(t, err)
	t.Cleanup(func() { unix.Close(log) })
	if size, err := unix.GetsockoptInt(log, unix.SOL_SOCKET, unix.SO_RCVBUF); size != 2<<24 || err != nil {
		t.Errorf("receive buffer of %d bytes, %v", size, err)
	}
	if pass, err := unix.GetsockoptInt(log, unix.SOL_SOCKET, unix.SO_PASSCRED); pass != 1 || err != nil {
		t.Errorf("SO_PASSCRED %d, %v", pass, err)
	}
	h.call(unix.SYS_ACCEPT4, 11, 0, 0, 0)
	// A client sees the process that has the socket, not us.
	client := h.call(unix.SYS_SOCKET, unix.AF_UNIX, unix.SOCK_STREAM, 0)
	a := unixAddress("/run/left")
	h.call(unix.SYS_CONNECT, client, h.give(a), uint64(len(a)))
	h.call(unix.SYS_GETSOCKOPT, client, unix.SOL_SOCKET, unix.SO_PEERCRED, h.scratch, h.scratchInt(12))
	b := make([]byte, 4)
	must(t, h.Read(h.scratch, b))
	if pid := binary.NativeEndian.Uint32(b); pid != 1 {
		t.Errorf("the client's peer is process %d", pid)
	}
}

func TestUnixSocketThatCannotBe(t *testing.T) {
	h := newHelper(t)
	must(t, os.WriteFile(h.root("/run/file"), nil, 0o644))
	try := func(address, path string) error {
		f := &format.OpenFile{Id: 1, Kind: &format.OpenFile_UnixSocket{UnixSocket: &format.UnixSocket{Type: unix.SOCK_STREAM, Address: []byte(address), Path: path}}}
		_, err := tryBuild(t, &format.Skeleton{OpenFiles: []*format.OpenFile{f}, Files: []*format.Files{{Descriptors: []*format.Descriptor{{Number: 4, OpenFile: 1}}}},
			Processes: []*format.Process{{Pid: 12, Tasks: []*format.Task{{Name: "syslogd", Files: 1000}}}}}, h)
		return err
	}
	wantError(t, try("/run/file", "/run/file"), "/run/file: it was a socket and is now a regular file", "descriptor 4 of process 12 (syslogd)")
	wantError(t, try("/nowhere/s", "/nowhere/s"), "/nowhere/")
	wantError(t, try("/run/x", "/data/y"), "leads there from no root")
	wantError(t, try("/nowhere/s", ""), "/nowhere does not exist")
	must(t, try("\x00taken", ""))
	wantError(t, try("\x00taken", ""), `"@taken"`, "has that name")
	wantError(t, try(strings.Repeat("x", 109), ""), "109 bytes")
}
