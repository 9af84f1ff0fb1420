// Package cpufeature names what the CPU can do for programs: instructions and
// registers. A program looks once and then goes by what it has found.
package cpufeature

import "slices"

// Missing lists those of some features that another list lacks.
func Missing(want, have []string) []string {
	return slices.DeleteFunc(slices.Clone(want), func(name string) bool { return slices.Contains(have, name) })
}
