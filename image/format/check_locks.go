package format

import (
	"errors"
	"fmt"
)

// check says why no kernel could have told of such a lock. ofTable: a descriptor
// table has it, and not an open file.
func (l *FileLock) check(ofTable bool) error {
	record := l.Kind == LockKind_LOCK_RECORD
	switch {
	case l.Kind <= LockKind_LOCK_UNSPECIFIED || l.Kind > LockKind_LOCK_LEASE:
		return errors.New("this version does not know it")
	case ofTable && !record:
		return errors.New("it is none of a descriptor table")
	case record && !ofTable:
		return errors.New("it is one of a descriptor table")
	case l.Start < 0 || l.Length < 0 || l.Start+l.Length < 0:
		return fmt.Errorf("it covers %d bytes at %d", l.Length, l.Start)
	case l.Number > maxDescriptor:
		return fmt.Errorf("it is held by descriptor %d", l.Number)
	}
	return nil
}
