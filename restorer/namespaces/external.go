package namespaces

import (
	"fmt"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/refusal"
)

// ExternalMount finds what the operator says is to be mounted where the container
// had something that nobody makes again.
func ExternalMount(given map[string]string, mount *format.Mount) (path string, err error) {
	name := mount.ExternalName()
	path, ok := given[name]
	if !ok {
		return "", &refusal.Refusal{
			Object: "mount " + mount.Mountpoint, Kind: mount.Fstype, Reason: "it came from outside of the container, and was saved by its name only",
			Remedy: fmt.Sprintf("say which directory or file of this host is to be there: --external '%s'=PATH", name),
		}
	}
	return path, nil
}

// takeExternal clones what the operator names into the workshop, which is a copy of
// the host's namespace. What LXC has mounted there from the config comes first.
func (m *mounter) takeExternal() error {
	for _, had := range m.first.Mounts {
		_, given := m.external[had.ExternalName()]
		if m.match.now[had.MountId] != nil || m.source(had.FileSystem, had.Root, had.IDMap()) != nil || !given && !had.External {
			continue
		}
		path, err := ExternalMount(m.external, had)
		if err != nil {
			return err
		}
		copied, err := m.cloneOfHost(path, 0)
		if err != nil {
			return fmt.Errorf("%s, which is to be mounted on %s of the container (--external): %w", path, had.Mountpoint, err)
		}
		if err := m.mapExternal(copied, had); err != nil {
			return err
		}
		if err := m.onBench(copied); err != nil {
			return err
		}
		m.sources = append(m.sources, source{had.FileSystem, had.Root, copied, had.IDMap()})
	}
	return nil
}
