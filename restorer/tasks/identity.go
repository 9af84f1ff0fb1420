package tasks

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/restorer/place"
)

// Origin is what every task has from the stage, as long as it is given nothing
// else.
type Origin struct {
	loginUID string // /proc/PID/loginuid; "": this kernel has none
	label    string // /proc/PID/attr/current; "": no security module has one
}

// OriginOf reads it from the first process.
func OriginOf(p place.Process) Origin {
	uid, _ := procfs.ReadFile(fmt.Sprintf("/proc/%d/loginuid", p.PID()))
	label, _ := procfs.ReadFile(fmt.Sprintf("/proc/%d/attr/current", p.PID()))
	return Origin{string(uid), strings.TrimRight(string(label), "\x00\n")}
}

// loginUID sets who the task's user logged in as, for the audit log, unless the
// stage has given it the same. It needs CAP_AUDIT_CONTROL; the number of the
// audit session that comes with it is the kernel's to choose.
func loginUID(p place.Process, from Origin, c *format.Credentials) error {
	have, want := from.loginUID, strconv.FormatUint(uint64(uint32(c.LoginUidPlusOne-1)), 10)
	if c.LoginUidPlusOne == 0 || have == "" || have == want {
		return nil
	}
	// Opened by us: the kernel takes it for a number of whoever has opened the file.
	if err := writeOpened(p, "loginuid", want); err != nil {
		return fmt.Errorf("login uid %s, which is now %s (needs CAP_AUDIT_CONTROL on the host): %w", want, have, err)
	}
	return nil
}

// LogOut has a task be nobody's for the audit log, as long as it has the right to.
func LogOut(p place.Process) error {
	const unset = "4294967295"
	have := OriginOf(p).loginUID
	if have == "" || have == unset {
		return nil
	}
	return writeOpened(p, "loginuid", unset)
}

// securityLabel has the task take its label (AppArmor's profile, SELinux's
// context), unless the stage has given it the same. Where no security module
// has labels, there is nothing to take.
func securityLabel(p place.Process, from Origin, want string) error {
	have := from.label
	if want == "" || have == "" || have == want {
		return nil
	}
	if err := writeOwn(p, "attr/current", labelOrder(want)); err != nil {
		return fmt.Errorf("the task ran under the security label %q, and can't get there from %q: load that profile on this host, or restart it with the container's config as it was (lxc.apparmor.profile, lxc.selinux.context): %w", want, have, err)
	}
	return nil
}

// labelOrder is what to write to attr/current: for AppArmor, which shows the
// mode in brackets, a command; for others the label.
func labelOrder(label string) string {
	name, _, mode := strings.Cut(label, " (")
	if mode || label == "unconfined" {
		return "changeprofile " + name
	}
	return label
}

// writeOpened has the task write to such a file that we have opened.
func writeOpened(p place.Process, name, text string) error {
	fd, err := unix.Open(fmt.Sprintf("/proc/%d/%s", p.PID(), name), unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	sent, err := p.Send([]int{fd})
	if err != nil {
		return err
	}
	addr, _ := p.Scratch()
	if err := p.Write(addr, []byte(text)); err != nil {
		return err
	}
	_, err = p.Call(unix.SYS_WRITE, uint64(sent[0]), addr, uint64(len(text)))
	_, closing := p.Call(unix.SYS_CLOSE, uint64(sent[0]))
	return errors.Join(err, closing)
}

// writeOwn has the task write to a file of its own /proc, which nobody else may.
// The container may have no /proc: the directory is the host's.
func writeOwn(p place.Process, name, text string) error {
	dir, err := unix.Open(fmt.Sprintf("/proc/%d", p.PID()), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	sent, err := p.Send([]int{dir})
	if err != nil {
		return err
	}
	err = place.WriteFile(p, sent[0], name, text)
	_, closing := p.Call(unix.SYS_CLOSE, uint64(sent[0]))
	return errors.Join(err, closing)
}
