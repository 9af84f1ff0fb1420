// Bytes for an address where the process has no mapping.
package main

import v "lxc-checkpoint/image/vectors"

func main() {
	v.Print(v.Write(v.Smallest(), v.ImageID, v.Pages{Owner: v.MmID, Offset: 0x20000, Data: v.Fill('a')}))
}
