package format

import "fmt"

// Slave is the path of the other end of the pseudo terminal, in the container.
func (m *PtyMaster) Slave() string { return fmt.Sprintf("%s/%d", m.GetDirectory(), m.GetIndex()) }
