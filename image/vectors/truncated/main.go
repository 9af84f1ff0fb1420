// The end is missing, as after a full disk.
package main

import (
	"bytes"

	v "lxc-checkpoint/image/vectors"
)

func main() {
	frames := v.Frames(v.Write(v.Smallest(), v.ImageID, v.Pages{Owner: v.MmID, Offset: 0x10000, Data: v.Fill('a')}))
	v.Print(bytes.Join(frames[:2], nil))
}
