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

// boot boots a kernel, waits until it powers off, and returns what it wrote to
// its console. It writes that to log as well as it comes. more are further
// options of QEMU.
func boot(ctx context.Context, a *arch, image, initramfs string, limit time.Duration, log io.Writer, more ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	args := append([]string{
		"-accel", "tcg,thread=" + a.threads, "-smp", "2", "-m", "3G",
		"-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot",
		"-kernel", image, "-initrd", initramfs,
		"-append", "quiet panic=-1 " + a.append,
	}, append(more, a.machine...)...)
	var console bytes.Buffer
	c := exec.CommandContext(ctx, a.qemu, args...)
	c.Stdout = io.MultiWriter(&console, log)
	c.Stderr = c.Stdout
	err := c.Run()
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = fmt.Errorf("it did not power off within %v", limit)
	} else if err != nil {
		err = fmt.Errorf("%s: %w", a.qemu, err)
	}
	// A terminal ends its lines with CR LF.
	return strings.ReplaceAll(console.String(), "\r\n", "\n"), err
}
