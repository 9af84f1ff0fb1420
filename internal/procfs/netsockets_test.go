package procfs

import (
	"net"
	"net/netip"
	"os"
	"testing"
)

func TestReadNetSockets(t *testing.T) {
	for name, address := range map[string]string{"tcp": "127.0.0.1:0", "tcp6": "[::1]:0"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Skip("no such address here: ", err)
		}
		defer l.Close()
		want := l.Addr().(*net.TCPAddr).AddrPort()
		all, err := ReadNetSockets(os.Getpid(), name)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, s := range all {
			const listening = 10
			if s.Local == want && s.State == listening && s.Remote.Addr().IsUnspecified() && s.Inode != 0 {
				found = true
			}
		}
		if !found {
			t.Errorf("%v is not in %s", want, name)
		}
	}
}

func FuzzNetSocket(f *testing.F) {
	f.Add("   0: 0100007F:1F90 0100007F:C001 04 0000000A:0000002B 01:00000014 00000000     0        0 0 3 0000 20")
	f.Add(" 0: 0100007F 1: 1 1 1 1 1 1 1")
	f.Fuzz(func(t *testing.T, line string) {
		s, err := netSocket(line)
		if err == nil && s.Local == (netip.AddrPort{}) {
			t.Errorf("%q has no address, and no error", line)
		}
	})
}
