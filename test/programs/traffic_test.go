package programs

import (
	"testing"

	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/test/harness"
)

// TestTraffic: one of each kind of descriptor that carries something, with traffic
// over all of them, is checkpointed live again and again, and killed and restarted
// in between: no byte is lost or comes twice.
func TestTraffic(t *testing.T) {
	need.Check(t, need.Program("python3"))
	b := start(t, "python3", source(t, "traffic/everything.py"))
	b.goesOn()
	for range harness.Rounds(1, 10) {
		for range harness.Rounds(20, 100) {
			b.checkpoint()
			b.goesOn()
		}
		b.kill()
		b.restart()
		b.goesOn()
	}
	b.judge()
}
