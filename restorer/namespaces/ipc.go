package namespaces

import (
	"errors"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/elsewhere"
	"lxc-checkpoint/restorer/place"
)

// InIPC runs f in an IPC namespace of the container, by its number in the image; 0 is
// that of the first process.
func (r *Root) InIPC(id uint32, f func() error) error {
	if id == 0 {
		return elsewhere.InIPC(r.root.PID(), f)
	}
	fd, err := r.Namespace(id)
	if err != nil {
		return err
	}
	return elsewhere.InIPCOf(fd, f)
}

// EnterIPC has a process enter one.
func (r *Root) EnterIPC(p place.Process, id uint32) error {
	if id == 0 {
		id = r.skeleton.LivesIn(0).GetId()
	}
	return r.setns(p, id, unix.CLONE_NEWIPC)
}

// SetIPC gives the container's IPC namespaces their settings, when all that lives in
// them has been made: some limit that.
func (r *Root) SetIPC() error {
	for _, n := range r.skeleton.Namespaces {
		if len(n.Ipc.GetSysctls()) == 0 {
			continue
		}
		err := r.InIPC(n.Id, func() error {
			for _, s := range n.Ipc.Sysctls {
				r.setIPC(s.Name, s.Value)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// setIPC writes a setting that differs. What this kernel has not, or does not take,
// the container goes on without: it says so.
func (r *Root) setIPC(name, value string) {
	path := "/proc/sys/" + name
	now, err := os.ReadFile(path)
	if err == nil && strings.TrimSpace(string(now)) == value {
		return
	}
	if err == nil {
		err = place.WriteSetting(path, value)
	}
	if errors.Is(err, os.ErrNotExist) {
		r.mounts.log.Warn("this kernel lacks a sysctl that the container had", "name", strings.ReplaceAll(name, "/", "."), "value", value)
	} else if err != nil {
		r.mounts.log.Warn("a sysctl of the container could not be set", "name", strings.ReplaceAll(name, "/", "."), "value", value, "why", err)
	}
}
