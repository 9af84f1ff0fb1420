// Two records of the skeleton have changed places.
package main

import v "lxc-checkpoint/image/vectors"

func main() {
	s := v.Smallest()
	frames := v.Frames(v.Write(s, v.ImageID))
	var records [][]byte
	for _, r := range s.Records() {
		records = append(records, v.Record(r))
	}
	records[3], records[4] = records[4], records[3]
	frames[0] = v.Frame(records...)
	v.Print(v.Assemble(frames...))
}
