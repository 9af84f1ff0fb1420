package tasks

import "lxc-checkpoint/image/format"

// lostRegisters has nothing to add: AT_HWCAP tells of every register there is.
func lostRegisters(*format.Header) ([]string, error) { return nil, nil }

// convert has nothing to do: the sets are the same on every CPU that has them.
func convert(_ *format.Header, s *format.RegisterSet) ([]byte, error) { return s.Data, nil }
