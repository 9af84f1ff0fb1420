//go:build !amd64

package ia32

import "errors"

// Usable is never nil: there are no 32-bit programs of this kind here.
func Usable() error { return errors.New("only amd64 kernels run 32-bit programs of i386") }

// RobustList has nothing to tell.
func RobustList(int) (uint32, error) { return 0, nil }
