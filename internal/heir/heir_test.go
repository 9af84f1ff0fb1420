package heir

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// TestSettle: what was left is set; what was forgotten is not.
func TestSettle(t *testing.T) {
	h, err := New()
	if err != nil {
		t.Fatal(err)
	}
	environment, err := h.Give()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(variable, environment[len(variable)+1:])
	testator := Inherited()
	if testator == nil || os.Getenv(variable) != "" {
		t.Fatal("the testator does not find its end")
	}
	testator.fd, err = unix.FcntlInt(uintptr(testator.fd), unix.F_DUPFD_CLOEXEC, 0) // Listen closes ours
	if err != nil {
		t.Fatal(err)
	}
	h.Listen()
	var sockets [2]int
	for i := range sockets {
		if sockets[i], err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
			t.Fatal(err)
		}
		defer unix.Close(sockets[i])
		filter := []byte{6, 0, 0, 0, 0, 0, 0, 0}
		forget, err := testator.Leave(sockets[i], Int(unix.IPPROTO_TCP, unix.TCP_REPAIR_QUEUE, 0), Int(unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1), Option{unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, filter})
		if err != nil {
			t.Fatal(err)
		}
		if i == 1 {
			forget()
		}
	}
	unix.Close(testator.fd)
	if n := h.Settle(); n != 1 {
		t.Errorf("%d sockets were left, not one", n)
	}
	for i, want := range []int{1, 0} {
		if on, err := unix.GetsockoptInt(sockets[i], unix.SOL_SOCKET, unix.SO_KEEPALIVE); err != nil || on != want {
			t.Errorf("socket %d: the option is %d: %v", i, on, err)
		}
	}
	var none *Testator
	if forget, err := none.Leave(sockets[0]); err != nil || forget == nil {
		t.Errorf("to leave it to nobody: %v", err)
	}
}
