// A frame of pages is missing, and the trailer does not tell: the end does.
package main

import (
	"slices"

	v "lxc-checkpoint/image/vectors"
)

func main() {
	frames := v.Frames(v.Write(v.Smallest(), v.ImageID,
		v.Pages{Owner: v.MmID, Offset: 0x10000, Data: v.Fill('a')},
		v.Pages{Owner: v.MmID, Offset: 0x11000, Data: v.Fill('b')}))
	v.Print(v.Assemble(slices.Delete(frames, 1, 2)...))
}
