package restorer

import (
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/container"
	"lxc-checkpoint/internal/links"
)

// ownNetwork tells whether the container's network is not the host's.
func (r *restart) ownNetwork() bool {
	return r.plan.Skeleton.Container.CloneFlags&unix.CLONE_NEWNET != 0
}

// hangVeths tells LXC on which interfaces of this host the container's hang. Without
// LXC, a restart makes them itself.
func (o *Options) hangVeths() error {
	if o.Native || len(o.Veth) == 0 {
		return nil
	}
	config, err := container.ReadConfig(o.Name, o.LXCPath, o.Config)
	if err != nil {
		return err
	}
	for name, link := range o.Veth {
		if err := o.Config.Hang(config, name, link); err != nil {
			return fmt.Errorf("--veth %s=%s: %w", name, link, err)
		}
	}
	return nil
}

// listen lets packets into the container, which the stage has kept out
// (stage.HookArgument): all sockets are there. And it tells its neighbours where
// it is now.
func (r *restart) listen() error {
	if !r.ownNetwork() {
		return nil
	}
	if err := links.Hear(r.root.PID()); err != nil {
		return fmt.Errorf("let packets into the container: %w", err)
	}
	if err := links.Announce(r.root.PID()); err != nil {
		r.log.Warn("the container's neighbours were not told where it is: they find out by themselves", "why", err)
	}
	return nil
}
