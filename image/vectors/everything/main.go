// An object of most kinds; pages that two processes share since a fork; bytes in
// any order; a page of zeros, which stands for
// a page of a private file mapping that the program has cleared.
package main

import v "lxc-checkpoint/image/vectors"

func main() {
	v.Print(v.Write(v.Everything(), v.ImageID,
		v.Pages{Owner: 20, Offset: 0x1000, Data: v.Fill('s')},
		v.Pages{Owner: v.MmID, Offset: 0x40000, Data: v.Fill('k')},
		v.Pages{Owner: v.MmID, Offset: 0x21000, Data: v.Fill(0)},
		v.Pages{Owner: v.InheritedID, Offset: 0x11000, Data: append(v.Fill('c'), v.Fill('d')...)},
		v.Pages{Owner: v.ChildMmID, Offset: 0x12000, Data: v.Fill('e')},
		// It goes from one mapping on into the next.
		v.Pages{Owner: v.MmID, Offset: 0x1f000, Data: append(v.Fill('h'), v.Fill('f')...)}))
}
