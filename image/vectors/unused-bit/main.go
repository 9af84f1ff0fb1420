// A bit that no decompressor looks at: zstd -t accepts this file.
package main

import v "lxc-checkpoint/image/vectors"

func main() {
	b := v.Write(v.Smallest(), v.ImageID, v.Pages{Owner: v.MmID, Offset: 0x10000, Data: v.Fill('a')})
	const descriptor, unused = 4, 1 << 4
	b[len(v.Frames(b)[0])+descriptor] |= unused
	v.Print(b)
}
