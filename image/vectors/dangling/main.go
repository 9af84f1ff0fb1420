// A process refers to an address space that is not there.
package main

import v "lxc-checkpoint/image/vectors"

func main() {
	s := v.Smallest()
	frames := v.Frames(v.Write(s, v.ImageID))
	s.Processes[0].Mm = 99
	var records [][]byte
	for _, r := range s.Records() {
		records = append(records, v.Record(r))
	}
	frames[0] = v.Frame(records...)
	v.Print(v.Assemble(frames...))
}
