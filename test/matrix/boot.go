package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

// Limits of the tests in a guest, after which Go ends them and says where they
// stood, and of its whole life, after which QEMU is killed.
const (
	testLimit = 25 * time.Minute
	bootLimit = testLimit + 2*time.Minute
)

// boot boots a kernel, waits until it powers off, and returns what it wrote to
// its console. It writes that to log as well as it comes.
func boot(ctx context.Context, a *arch, image, initramfs string, log io.Writer) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, bootLimit)
	defer cancel()
	args := append([]string{
		"-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "3G",
		"-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot",
		"-kernel", image, "-initrd", initramfs,
		"-append", "quiet panic=-1 console=" + a.console,
	}, a.machine...)
	var console bytes.Buffer
	c := exec.CommandContext(ctx, a.qemu, args...)
	c.Stdout = io.MultiWriter(&console, log)
	c.Stderr = c.Stdout
	err := c.Run()
	// A terminal ends its lines with CR LF.
	text := strings.ReplaceAll(console.String(), "\r\n", "\n")
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		err = fmt.Errorf("it did not power off within %v", bootLimit)
	case err != nil:
		err = fmt.Errorf("%s: %w", a.qemu, err)
	case !strings.Contains(text, "matrix: exit "):
		err = errors.New("it ended before the tests did")
	}
	return text, err
}
