package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/cli"
	"lxc-checkpoint/internal/heir"
)

// While a checkpoint has a task make system calls, the task's registers are
// ours, and only we can put them back: the kernel lets a task go on as it
// stands when its tracer is killed. So two processes run. The one that the user
// sees only waits; the other one, the worker, does the work, and the kernel
// sends it a TERM when the first dies, by kill -9 for example: it then has the
// time to undo everything. If the worker itself is killed, the guard puts back what
// would stay otherwise: options of sockets (internal/heir).

// workerVariable is set in the worker's environment: the pid of the guard.
const workerVariable = "LXC_CHECKPOINT_GUARD"

// isWorker tells whether this process is the worker.
func isWorker() bool { return os.Getenv(workerVariable) != "" }

// guard runs the worker, passes signals on to it, and returns its exit code.
func guard() (int, error) {
	// The death of the thread that forks is what the worker hears of: the main
	// thread's, which init has given us.
	c := exec.Command("/proc/self/exe", os.Args[1:]...)
	c.Args[0] = os.Args[0]
	c.Env = append(os.Environ(), fmt.Sprintf("%s=%d", workerVariable, os.Getpid()))
	// A statefd above 2 is inherited under its own number: nothing closes it.
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGTERM}
	estate, err := heir.New()
	if err != nil {
		return 0, err
	}
	its, err := estate.Give()
	if err != nil {
		return 0, err
	}
	c.Env = append(c.Env, its)

	caught := make(chan os.Signal, 8)
	for _, s := range []os.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGQUIT, unix.SIGHUP} {
		if !signal.Ignored(s) {
			signal.Notify(caught, s)
		}
	}
	if err := c.Start(); err != nil {
		return 0, fmt.Errorf("start the working process: %w", err)
	}
	estate.Listen()
	go func() {
		for s := range caught {
			_ = c.Process.Signal(s)
		}
	}()
	err = c.Wait()
	estate.Settle()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, fmt.Errorf("wait for the working process: %w", err)
	}
	switch status, _ := c.ProcessState.Sys().(syscall.WaitStatus); {
	case !status.Signaled():
		return status.ExitStatus(), nil
	case status.Signal() == unix.SIGKILL || status.CoreDump():
		return 0, fmt.Errorf("the working process was killed by %s: look whether the container still runs; if it stands frozen, lxc-unfreeze lets it go on", unix.SignalName(status.Signal()))
	default: // a signal that came before it had begun: as if it were ours
		signal.Reset()
		_ = unix.Kill(os.Getpid(), status.Signal())
		return 128 + int(status.Signal()), nil
	}
}

// beginWork makes this process the worker. An error says that the guard was
// killed before the kernel knew whom to tell.
func beginWork() (*heir.Testator, error) {
	pid, err := strconv.Atoi(os.Getenv(workerVariable))
	if err != nil {
		return nil, fmt.Errorf("%s is for our own use: unset it", workerVariable)
	}
	_ = os.Unsetenv(workerVariable)
	if os.Getppid() != pid {
		return nil, &cli.Interrupted{Signal: unix.SIGKILL}
	}
	// Another name: whoever ends all that are called lxc-checkpoint means the
	// guard. Nobody but us reads it, so a failure is none.
	_ = os.WriteFile("/proc/self/comm", []byte("lxc-ckpt-work"), 0)
	return heir.Inherited(), nil
}
