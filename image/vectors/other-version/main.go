// Version 2 of the format.
package main

import v "lxc-checkpoint/image/vectors"

func main() {
	s := v.Smallest()
	frames := v.Frames(v.Write(s, v.ImageID))
	s.Header.Version = 2
	var records [][]byte
	for _, r := range s.Records() {
		records = append(records, v.Record(r))
	}
	frames[0] = v.Frame(records...)
	v.Print(v.Assemble(frames...))
}
