//go:build !trip

// Package trip makes a restart fail at a step of its own, for the tests of what
// it leaves behind then. Only in commands that are built with the tag trip; in
// others it is nothing.
package trip

// At fails at a step, if that is the one that is to fail.
func At(step string) error { return nil }

// Call fails at a call that a process is to make, if that is the one that is to fail.
func Call() error { return nil }
