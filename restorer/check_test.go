package restorer

import (
	"context"
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/refusal"
)

// TestCheckHost: what this host lacks is told by name, all of it at once, with
// what to do.
func TestCheckHost(t *testing.T) {
	ctx := context.Background()
	native := Checked{Options: Options{Native: true}}
	s := here(t, tree("1 0 1 1"))
	if list := Check(ctx, s, native); len(list) > 0 {
		t.Fatalf("of an image that fits, it tells: %v", list)
	}
	s.Header.PageSize *= 4
	s.Header.CpuFeatures = []string{"nosuchfeature"}
	s.Header.VdsoDigest, s.Header.Vdso = 1, nil
	// Users of its own, and the host's processes.
	s.Container.CloneFlags |= unix.CLONE_NEWUSER
	s.Namespaces = append(s.Namespaces, &format.Namespace{Id: 899, Kind: format.NamespaceKind_USER, Own: true})
	s.Processes[0].Namespaces = []uint32{899}
	s.Fs[0].Cwd = "/nosuch/directory"
	s.Mms[0].Exe = &format.FileIdentity{Path: "/nosuch/program", Mode: unix.S_IFREG | 0o755}
	s.Namespaces = append(s.Namespaces, &format.Namespace{Id: 900, Kind: format.NamespaceKind_NET, Own: true, Links: []*format.Link{{Name: "eth7", Up: true, Outside: true}}})
	list := Check(ctx, s, native)
	for object, remedy := range map[string]string{
		"page size": "same page size", "CPU": "on a CPU that has it", "vdso": "same build", "namespaces": "LXC",
		"/nosuch/directory": "put it back", "/nosuch/program": "put it back", "network interface eth7": "ip link delete eth7",
	} {
		i := slices.IndexFunc(list, func(r *refusal.Refusal) bool { return r.Object == object })
		if i < 0 || !strings.Contains(list[i].Remedy, remedy) {
			t.Errorf("%s (remedy %q) is not in: %v", object, remedy, list)
		}
	}
	if len(list) != 7 {
		t.Errorf("%d obstacles: %v", len(list), list)
	}
	s.Header.Architecture = "s390x"
	if list = Check(ctx, s, native); !slices.ContainsFunc(list, func(r *refusal.Refusal) bool { return strings.Contains(r.Error(), "s390x") }) {
		t.Errorf("another architecture is not told: %v", list)
	}
}

// here has an image fit this host.
func here(t *testing.T, s *format.Skeleton) *format.Skeleton {
	t.Helper()
	s.Header.PageSize = uint32(os.Getpagesize())
	s.Header.Vdso = []byte{1} // what is needed of another vdso is in the image
	s.Header.XsaveMask, s.Header.XsaveComponents, s.Header.CpuFeatures = 0, nil, nil
	s.Namespaces, s.Container.CloneFlags = nil, 0
	for _, mm := range s.Mms {
		mm.Exe, mm.Vmas = nil, nil
	}
	for _, p := range s.Processes {
		for _, k := range p.Tasks {
			k.Registers = nil
		}
	}
	return s
}

// TestCheckFree: numbers, ports, addresses and names that others have are told,
// where the container has no namespace of its own for them.
func TestCheckFree(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	name := "lxc-check-free-" + t.Name()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		defer unix.Close(fd)
		err = unix.Bind(fd, &unix.SockaddrUnix{Name: "@" + name})
	}
	if err != nil {
		t.Fatal(err)
	}
	s := here(t, tree("1 0 1 1"))
	s.Processes[0].Tasks[0].Tid = uint32(os.Getpid())
	free := uint32(65000)
	s.OpenFiles = []*format.OpenFile{
		{Id: 501, Kind: &format.OpenFile_TcpListener{TcpListener: &format.TcpListener{Family: unix.AF_INET, Address: []byte{0, 0, 0, 0}, Port: uint32(l.Addr().(*net.TCPAddr).Port)}}},
		{Id: 502, Kind: &format.OpenFile_TcpListener{TcpListener: &format.TcpListener{Family: unix.AF_INET, Address: []byte{192, 0, 2, 77}, Port: free}}},
		{Id: 503, Kind: &format.OpenFile_UnixSocket{UnixSocket: &format.UnixSocket{Address: []byte("\x00" + name)}}},
		{Id: 504, Kind: &format.OpenFile_UnixSocket{UnixSocket: &format.UnixSocket{Address: []byte("\x00" + name + "-free")}}},
		{Id: 505, Kind: &format.OpenFile_TcpListener{TcpListener: &format.TcpListener{Family: unix.AF_INET, Address: []byte{127, 0, 0, 1}, Port: 1}}},
	}
	for i, o := range s.OpenFiles {
		s.Files[0].Descriptors = append(s.Files[0].Descriptors, &format.Descriptor{Number: uint32(10 + i), OpenFile: o.Id})
	}
	list := CheckFree(s)
	for object, words := range map[string]string{
		"process number": "kill", "descriptor 10": "ss -lntup", "descriptor 11": "ip address add 192.0.2.77", "descriptor 12": "@" + name,
	} {
		i := slices.IndexFunc(list, func(r *refusal.Refusal) bool { return strings.HasPrefix(r.Object, object) })
		if i < 0 || !strings.Contains(list[i].Error(), words) || list[i].Remedy == "" {
			t.Errorf("%s (%q) is not in: %v", object, words, list)
		}
	}
	if len(list) != 4 {
		t.Errorf("%d obstacles: %v", len(list), list)
	}
	s.Container.CloneFlags = unix.CLONE_NEWPID | unix.CLONE_NEWNET
	if list := CheckFree(s); len(list) > 0 {
		t.Errorf("in namespaces of its own: %v", list)
	}
}
