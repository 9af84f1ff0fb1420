package main

import (
	"fmt"

	"lxc-checkpoint/image/format"
)

// locks puts into words which locks a descriptor shows.
func locks(table *format.Files, d *format.Descriptor, o *format.OpenFile) []string {
	words := []string{}
	for _, l := range o.Locks {
		words = append(words, lock(l))
	}
	for _, l := range table.Locks {
		if l.Number == d.Number {
			words = append(words, lock(l))
		}
	}
	return words
}

func lock(l *format.FileLock) string {
	how := "shared"
	if l.Exclusive {
		how = "exclusive"
	}
	switch l.Kind {
	case format.LockKind_LOCK_FLOCK:
		return how + " flock"
	case format.LockKind_LOCK_LEASE:
		return how + " lease"
	case format.LockKind_LOCK_DESCRIPTION:
		how += " open file description"
	}
	if l.Length == 0 {
		return fmt.Sprintf("%s record lock from %d", how, l.Start)
	}
	return fmt.Sprintf("%s record lock %d-%d", how, l.Start, l.Start+l.Length-1)
}
