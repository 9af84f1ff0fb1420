// A frame of pages was taken from another statefile, and the trailer made anew.
package main

import v "lxc-checkpoint/image/vectors"

func main() {
	p := v.Pages{Owner: v.MmID, Offset: 0x10000, Data: v.Fill('a')}
	frames := v.Frames(v.Write(v.Smallest(), v.ImageID, p))
	frames[1] = v.Frames(v.Write(v.Smallest(), v.ImageID+1, p))[1]
	v.Print(v.Assemble(frames...))
}
