// Package sysnames knows the names of system calls.
package sysnames

import "fmt"

//go:generate go run generate.go

// Name is the name of a system call of an architecture (GOARCH): "read"; a word
// with its number if it has none that was known when this was built.
func Name(architecture string, number uint32) string {
	if name, ok := names[architecture][number]; ok {
		return name
	}
	return fmt.Sprintf("system call %d", number)
}
