// Package refusal is what a checkpoint cannot take, as data: which process,
// which object, why, and what the operator can do about it.
package refusal

import (
	"fmt"
	"strings"
)

// Refusal is one obstacle. It is an error, and errors.As finds it.
type Refusal struct {
	PID     int    `json:"pid,omitempty"`     // in the container's pid namespace; 0 if it concerns no process
	Command string `json:"command,omitempty"` // of that process, as ps shows it
	Object  string `json:"object,omitempty"`  // what it is about: "descriptor 7", "mapping 7f00-7f10", "task 12"
	Kind    string `json:"kind,omitempty"`    // what kind of thing that is: "POSIX timer", "TCP connection"
	Reason  string `json:"reason"`            // why it can't be taken
	Remedy  string `json:"remedy,omitempty"`  // what to do; empty if there is nothing
	// Passing: as soon as the program has gone on a little, it may be over.
	Passing bool `json:"-"`
}

// Error is one sentence for the operator.
func (r *Refusal) Error() string {
	var b strings.Builder
	if r.PID != 0 {
		fmt.Fprintf(&b, "process %d", r.PID)
		if r.Command != "" {
			fmt.Fprintf(&b, " (%s)", r.Command)
		}
	}
	add := func(separator, s string) {
		if s == "" {
			return
		}
		if b.Len() > 0 {
			b.WriteString(separator)
		}
		b.WriteString(s)
	}
	add(", ", r.Object)
	add(": ", r.Kind)
	add(": ", r.Reason)
	add("; ", r.Remedy)
	return b.String()
}

// List is all that stands in the way of a checkpoint.
type List []*Refusal

// Error has one line for each.
func (l List) Error() string {
	lines := make([]string, len(l))
	for i, r := range l {
		lines[i] = r.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As find each Refusal.
func (l List) Unwrap() []error {
	errs := make([]error, len(l))
	for i, r := range l {
		errs[i] = r
	}
	return errs
}

// Err is the list as an error; nil if it is empty.
func (l List) Err() error {
	if len(l) == 0 {
		return nil
	}
	return l
}
