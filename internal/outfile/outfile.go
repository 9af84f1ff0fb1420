// Package outfile is where a statefile is written to: a file that appears
// under its name only when it is complete and durable, or a descriptor that
// was open before, a pipe for example.
package outfile

import (
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// Output takes the bytes of a statefile. Writes and Commit come from one
// goroutine at a time.
type Output interface {
	io.Writer
	// Commit makes what was written durable, and a file appear under its
	// name. Nothing can be written after it.
	Commit() error
	// Abort drops what was written, if it can be dropped, and lets go of the
	// file. After Commit it only lets go. It may be called more than once.
	Abort() error
	// Free is how many bytes the file system has left for it; false if the
	// output is no file.
	Free() (uint64, bool)
	// Remains says for a message what is left of the output as it is now:
	// "nothing was written", "/x/state is complete".
	Remains() string
}

// explain makes an error of a write a sentence with a remedy.
func explain(what string, written int64, err error) error {
	switch {
	case errors.Is(err, unix.ENOSPC):
		return fmt.Errorf("%s: its file system is full after %s of it: free space there or name a file elsewhere: %w", what, Size(uint64(written)), err)
	case errors.Is(err, unix.EDQUOT):
		return fmt.Errorf("%s: the quota is used up after %s of it: %w", what, Size(uint64(written)), err)
	case errors.Is(err, unix.EFBIG):
		return fmt.Errorf("%s: it would be larger than its file system or the limit of this process (ulimit -f) allows: %w", what, err)
	case errors.Is(err, unix.EPIPE), errors.Is(err, unix.ECONNRESET):
		return fmt.Errorf("%s: the reader has closed its end after %s: see why it ended: %w", what, Size(uint64(written)), err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// Size writes a number of bytes for a reader: "0 bytes", "1.5 MiB".
func Size(n uint64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d bytes", n)
	}
	f, i := float64(n)/1024, 0
	for f >= 1023.95 && i < len(units)-1 {
		f, i = f/1024, i+1
	}
	return fmt.Sprintf("%.1f %ciB", f, units[i])
}

// CheckSpace compares an estimate of the bytes to be saved, before they are
// compressed, with the free space. It refuses only what cannot fit: memory of
// real programs shrinks to a half down to a tenth, pages of zeros to nothing.
// tight is "" or a sentence for the log that it may not fit.
func CheckSpace(o Output, estimate uint64) (tight string, err error) {
	free, ok := o.Free()
	if !ok {
		return "", nil
	}
	const most = 16 // by how much memory can be expected to shrink at the best
	if free < estimate/most || free < 64<<10 {
		return "", fmt.Errorf("the file system of the statefile has %s free and the container's memory is %s: free space there or name a file elsewhere",
			Size(free), Size(estimate))
	}
	if free < estimate {
		return fmt.Sprintf("the file system of the statefile has %s free and the container's memory is %s before it is compressed", Size(free), Size(estimate)), nil
	}
	return "", nil
}
