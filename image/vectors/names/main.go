// Names that are not UTF-8, and one with the characters that escape them.
package main

import v "lxc-checkpoint/image/vectors"

func main() {
	s := v.Smallest()
	s.Processes[0].Tasks[0].Name = "caf\xc3"
	s.Mms[0].Exe.Path = "/bin/\uef80\xff"
	v.Print(v.Write(s, v.ImageID))
}
