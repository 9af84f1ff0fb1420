// A size in the seek table is not that of its frame.
package main

import v "lxc-checkpoint/image/vectors"

func main() {
	b := v.Write(v.Smallest(), v.ImageID, v.Pages{Owner: v.MmID, Offset: 0x10000, Data: v.Fill('a')})
	b[len(b)-9-8] ^= 1 // compressed size of the last entry
	v.Print(b)
}
