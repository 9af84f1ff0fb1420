package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// container is the program that the demo checkpoints. It can't know that.
func container() {
	shell := exec.Command("/bin/sh", "-c", `i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done >shell.count`)
	if err := shell.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	// os.Process holds a pidfd, which can't be checkpointed yet.
	_ = shell.Process.Release()
	numbers := make(chan int)
	go func() {
		for i := 1; ; i++ {
			numbers <- i
		}
	}()
	f, err := os.Create("go.count")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for range time.Tick(20 * time.Millisecond) {
		fmt.Fprintln(f, <-numbers)
	}
}

// count returns the last number in a counter's file, and an error unless every
// number from 1 on is there once.
func count(path string) (int, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	last := 0
	for line := range strings.Lines(string(text)) {
		if !strings.HasSuffix(line, "\n") {
			break // it is being written
		}
		n, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil || n != last+1 {
			return 0, fmt.Errorf("%s: after %d comes %q", path, last, strings.TrimSpace(line))
		}
		last = n
	}
	return last, nil
}
