// The smallest statefile that makes sense: one process with two pages.
package main

import v "lxc-checkpoint/image/vectors"

func main() {
	v.Print(v.Write(v.Smallest(), v.ImageID,
		v.Pages{Owner: v.MmID, Offset: 0x10000, Data: v.Fill('a')},
		v.Pages{Owner: v.MmID, Offset: 0x11000, Data: v.Fill('b')}))
}
