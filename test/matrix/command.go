package main

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
)

// run runs a program that has to succeed; what it writes is shown only if it
// does not.
func run(c *exec.Cmd) error {
	_, err := output(c)
	return err
}

// output is run that returns what the program wrote to its standard output.
func output(c *exec.Cmd) (string, error) {
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Run(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s%s", strings.Join(c.Args, " "), err, stdout.String(), stderr.String())
	}
	return stdout.String(), nil
}
