// A bit of a frame of pages is not what it was.
package main

import v "lxc-checkpoint/image/vectors"

func main() {
	b := v.Write(v.Smallest(), v.ImageID, v.Pages{Owner: v.MmID, Offset: 0x10000, Data: v.Fill('a')})
	frames := v.Frames(b)
	b[len(frames[0])+len(frames[1])-5] ^= 0x40 // of frame 1, before its checksum
	v.Print(b)
}
