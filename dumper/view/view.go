// Package view holds what the rooms of the dumper know in common of a
// container's tasks, files and memory.
package view

import "sync/atomic"

// IDs numbers the objects of an image. One of them serves all rooms, so that
// an id names one object of whatever kind.
type IDs struct{ last atomic.Uint32 }

// Next returns a number that was not given out before; never 0.
func (i *IDs) Next() uint32 { return i.last.Add(1) }
