package stage

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"lxc-checkpoint/container"
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/refusal"
)

// firstUsers is the user namespace of the container's first process, if that is
// not the host's.
func firstUsers(s *format.Skeleton) *format.Namespace {
	n := s.Namespace(s.UserNamespaceOf(s.Process(s.Container.GetRootPid()).GetNamespaces()))
	if !n.GetOwn() {
		return nil
	}
	return n
}

// checkIDMaps compares the ids that the container's users had on the host with those
// that LXC will give them: the owners of its files, and of all else, are the host's
// in the image.
func checkIDMaps(s *format.Skeleton, config *container.Config) *refusal.Refusal {
	uids, gids, err := config.IDMaps()
	if err != nil {
		return &refusal.Refusal{Object: "user ids", Reason: err.Error(), Remedy: "mend the container's config"}
	}
	if len(s.Processes) == 0 {
		return nil // there is no image
	}
	users := firstUsers(s).GetUser()
	for _, m := range []struct {
		object, kind string
		had          []*format.IdRange
		will         []procfs.IDRange
	}{{"user ids", "u", users.GetUids(), uids}, {"group ids", "g", users.GetGids(), gids}} {
		had := rangesOf(m.had)
		if slices.Equal(had, m.will) {
			continue
		}
		return &refusal.Refusal{
			Object: m.object,
			Reason: fmt.Sprintf("the container had %s, and its config says %s: its files and processes would be others'", idMapWords(m.kind, had), idMapWords(m.kind, m.will)),
			Remedy: "give it the lxc.idmap lines that it had, and its root file system the owners that go with them",
		}
	}
	return nil
}

func rangesOf(list []*format.IdRange) (all []procfs.IDRange) {
	for _, r := range list {
		all = append(all, procfs.IDRange{Inside: r.Inside, Outside: r.Outside, Count: r.Count})
	}
	slices.SortFunc(all, func(a, b procfs.IDRange) int { return cmp.Compare(a.Inside, b.Inside) })
	return all
}

// idMapWords are a map as lines of LXC's config.
func idMapWords(kind string, list []procfs.IDRange) string {
	if len(list) == 0 {
		return "no lxc.idmap"
	}
	var words []string
	for _, r := range list {
		words = append(words, fmt.Sprintf("lxc.idmap = %s %d %d %d", kind, r.Inside, r.Outside, r.Count))
	}
	return strings.Join(words, ", ")
}
