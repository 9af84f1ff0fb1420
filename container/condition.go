package container

import (
	"fmt"
	"path/filepath"

	"lxc-checkpoint/freezer"
)

// Condition looks at the container and says, for the end of a message, what
// it does now: "container c1 still runs", "container c1 stands frozen: …".
// wasFrozen says that it stood frozen before we came.
func (c *Container) Condition(wasFrozen bool) string {
	s, err := readStat(c.InitPID)
	if err != nil || s.state == 'Z' || s.state == 'X' {
		return c.String() + " is gone"
	}
	state, err := c.Freezer.State()
	switch {
	case err != nil:
		return fmt.Sprintf("%s still exists, but its freezer cannot be read (%v)", c, err)
	case state == freezer.Thawed && wasFrozen:
		return c.String() + " runs now; it was frozen before"
	case state == freezer.Thawed:
		return c.String() + " still runs"
	case wasFrozen:
		return c.String() + " is still frozen, as before"
	}
	return c.String() + " stands frozen: " + c.HowToThaw() + " lets it go on"
}

// HowToThaw is the command that makes the frozen container go on.
func (c *Container) HowToThaw() string {
	switch {
	case c.Name != "" && c.LXCPath != DefaultLXCPath():
		return fmt.Sprintf("lxc-unfreeze -P %s -n %s", c.LXCPath, c.Name)
	case c.Name != "":
		return "lxc-unfreeze -n " + c.Name
	case c.Freezer.Version() == 1:
		return "echo THAWED >" + filepath.Join(c.Freezer.Path(), "freezer.state")
	}
	return "echo 0 >" + filepath.Join(c.Freezer.Path(), "cgroup.freeze")
}
