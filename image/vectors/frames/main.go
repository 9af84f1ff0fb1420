// Other frames than our writer makes: one for each record of the skeleton, two
// records of pages in one, and a field that version 1 does not have.
package main

import (
	"lxc-checkpoint/image/format"
	v "lxc-checkpoint/image/vectors"
)

func main() {
	s := v.Smallest()
	plain := v.Frames(v.Write(s, v.ImageID,
		v.Pages{Owner: v.MmID, Offset: 0x11000, Data: v.Fill('b')},
		v.Pages{Owner: v.MmID, Offset: 0x10000, Data: v.Fill('a')}))
	var all [][]byte
	for _, r := range s.Records() {
		all = append(all, v.Frame(v.Record(r)))
	}
	end := &format.Record{}
	if err := v.Parse(v.Content(plain[3]), end); err != nil {
		panic(err)
	}
	end.ProtoReflect().SetUnknown([]byte{0xf8, 0x07, 0x01}) // field 127
	all = append(all, v.Frame(v.Content(plain[1]), v.Content(plain[2])), v.Frame(v.Record(end)))
	v.Print(v.Assemble(all...))
}
