package stage

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// When a container reboots, LXC's monitor makes it again as it was told to at
// first. After a restart that is with our stub for an init, which is gone: the
// container would stop. So a hook of ours (lxc.hook.post-stop), which LXC tells by
// LXC_TARGET that it is a reboot (LXC 5.0, lxc_end in start.c), leaves a process
// behind that waits for the monitor's end and has lxc-start make the container as
// its config says.

// RebootArgument has lxc-restart be that hook, and rebootedArgument that process.
const (
	RebootArgument   = "--as-reboot-hook"
	rebootedArgument = "--after-reboot"
)

// rebootHook is the command of that hook. LXC appends the container's name and
// which hook it is.
func (l *lxc) rebootHook() string {
	return hookCommand(slices.Concat([]string{RebootArgument, "-n", l.name, "-P", l.path}, l.overrides.Arguments())...)
}

// RebootHook is the hook: it is called with what follows RebootArgument.
func RebootHook(args []string) error {
	const appended = 3 // NAME lxc post-stop
	if os.Getenv("LXC_TARGET") != "reboot" || len(args) < appended {
		return nil
	}
	if args[0] == rebootedArgument {
		return afterReboot(args[1:])
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(exe, slices.Concat([]string{RebootArgument, rebootedArgument}, args[:len(args)-appended])...)
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	// LXC's monitor leads the session of its hooks.
	monitor, err := unix.Getsid(0)
	if err != nil {
		return err
	}
	cmd.Env = append(os.Environ(), fmt.Sprintf("LXC_MONITOR=%d", monitor))
	return cmd.Start()
}

// afterReboot waits until the monitor has ended, and starts the container.
func afterReboot(args []string) error {
	const patience = 30 * time.Second
	var monitor int
	if _, err := fmt.Sscan(os.Getenv("LXC_MONITOR"), &monitor); err != nil || monitor <= 1 {
		return fmt.Errorf("LXC's monitor is process %q", os.Getenv("LXC_MONITOR"))
	}
	for end := time.Now().Add(patience); unix.Kill(monitor, 0) == nil && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond)
	}
	return exec.Command("lxc-start", append(args, "-d")...).Run()
}
