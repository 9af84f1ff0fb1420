package ia32

import (
	"os"
	"testing"
)

// TestRobustList: a program that has made no 32-bit call has no such list, and
// the call that asks for it is understood.
func TestRobustList(t *testing.T) {
	if err := Usable(); err != nil {
		t.Skip(err)
	}
	if head, err := RobustList(os.Getpid()); err != nil || head != 0 {
		t.Errorf("our own list is at %#x, error %v", head, err)
	}
	if _, err := RobustList(1 << 30); err == nil {
		t.Error("a task that does not exist has a list")
	}
}
