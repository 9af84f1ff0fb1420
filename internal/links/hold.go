package links

import (
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/elsewhere"
	"lxc-checkpoint/internal/sys"
)

// Hold has the interfaces of a process's network namespace, but lo, drop all that
// comes in but what neighbours ask and answer, until release; if we end before,
// until then.
func Hold(pid int) (release func(), err error) {
	var held []int
	release = func() {
		for _, fd := range held {
			unix.Close(fd)
		}
	}
	err = elsewhere.InNetwork(pid, func() error {
		program, err := sys.BPFLoad(&sys.BPFProgram{Type: unix.BPF_PROG_TYPE_XDP, Instructions: deafness()})
		if err != nil {
			return err
		}
		defer unix.Close(program)
		all, err := net.Interfaces()
		if err != nil {
			return err
		}
		for _, l := range all {
			if l.Flags&net.FlagLoopback != 0 {
				continue
			}
			const generic = 2 // XDP_FLAGS_SKB_MODE
			fd, err := sys.BPFLink(program, l.Index, unix.BPF_XDP, generic)
			if err != nil {
				return fmt.Errorf("interface %s: %w", l.Name, err)
			}
			held = append(held, fd)
		}
		return nil
	})
	if err != nil {
		release()
		if errors.Is(err, unix.EBUSY) {
			err = fmt.Errorf("a program of the container's own drops packets there (XDP): %w", err)
		}
		return nil, fmt.Errorf("keep packets away from the container: %w", err)
	}
	return release, nil
}
