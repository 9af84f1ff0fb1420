package tty

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pair opens a pseudo terminal.
func pair(t *testing.T) (master, slave int) {
	t.Helper()
	master, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skip("there are no pseudo terminals here:", err)
	}
	t.Cleanup(func() { unix.Close(master) })
	n, err := unix.IoctlGetInt(master, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	slave, err = unix.Open(fmt.Sprintf("/dev/pts/%d", n), unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(slave) })
	return master, slave
}

func write(t *testing.T, fd int, text string) {
	t.Helper()
	if n, err := unix.Write(fd, []byte(text)); err != nil || n != len(text) {
		t.Fatalf("write: %d, %v", n, err)
	}
}

// TestTakePut: what was taken and put back can be taken again, and read as
// before, in each mode.
func TestTakePut(t *testing.T) {
	for _, k := range []struct {
		name       string
		canonical  bool
		packet     bool
		echo       bool
		out, typed string
		line       string // the first read of the slave
	}{
		{"canonical", true, false, false, "out\nput", "one\ntwo\nthr", "one\n"},
		{"echo", true, false, true, "out", "one\ntwo\nthr", "one\n"},
		{"a part of a line", true, false, false, "", "thr", ""},
		{"raw", false, false, false, "\x1b[2J", "a\rb\x03\x04\x7f", "a\rb\x03\x04\x7f"},
		{"packet mode", false, true, false, "text", "keys", "keys"},
		{"nothing", true, false, false, "", "", ""},
	} {
		t.Run(k.name, func(t *testing.T) {
			master, slave := pair(t)
			modes, err := unix.IoctlGetTermios(slave, unix.TCGETS2)
			if err != nil {
				t.Fatal(err)
			}
			modes.Lflag &^= unix.ECHO
			if !k.canonical {
				modes.Lflag &^= unix.ICANON | unix.ISIG | unix.IEXTEN
				modes.Iflag &^= unix.ICRNL
				modes.Oflag &^= unix.OPOST
			}
			if err := set(slave, modes); err != nil {
				t.Fatal(err)
			}
			write(t, slave, k.out)
			write(t, master, k.typed)
			time.Sleep(20 * time.Millisecond) // it is typed when a worker of the kernel comes to it
			if k.echo {
				modes.Lflag |= unix.ECHO
				if err := set(slave, modes); err != nil {
					t.Fatal(err)
				}
			}
			if k.packet {
				if err := unix.IoctlSetPointerInt(master, unix.TIOCPKT, 1); err != nil {
					t.Fatal(err)
				}
			}
			out := k.out
			if k.canonical {
				out = string(bytes.ReplaceAll([]byte(out), []byte("\n"), []byte("\r\n")))
			}
			for round := range 3 {
				q, err := Take(master, slave)
				if err != nil || string(q.Output) != out || string(q.Input) != k.typed {
					t.Fatalf("round %d: took %q and %q, wanted %q and %q (%v)", round, q.Output, q.Input, out, k.typed, err)
				}
				if err := Put(master, slave, q); err != nil {
					t.Fatal(err)
				}
				if now, err := unix.IoctlGetTermios(slave, unix.TCGETS2); err != nil || *now != *modes {
					t.Fatalf("its modes are %v, were %v (%v)", now, modes, err)
				}
			}
			if packet, err := unix.IoctlGetInt(master, unix.TIOCGPKT); err != nil || (packet == 1) != k.packet {
				t.Errorf("packet mode is %d (%v)", packet, err)
			}
			if k.line == "" {
				if n, err := unix.IoctlGetInt(slave, unix.TIOCINQ); err != nil || n != 0 {
					t.Errorf("%d bytes can be read of an unfinished line (%v)", n, err)
				}
				return
			}
			b := make([]byte, 100)
			if n, err := unix.Read(slave, b); err != nil || string(b[:n]) != k.line {
				t.Errorf("the first read gives %q, wanted %q (%v)", b[:n], k.line, err)
			}
		})
	}
}
