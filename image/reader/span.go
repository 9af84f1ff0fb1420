package reader

import (
	"sort"

	"lxc-checkpoint/image/format"
)

// span is a range of a content in which bytes may lie.
type span struct{ start, end uint64 }

// spans lists, by owner and in order, where the contents of a skeleton may have
// bytes. Adjacent mappings are one span: bytes may go over their border.
func spans(s *format.Skeleton) map[uint32][]span {
	all := map[uint32][]span{}
	for _, c := range s.Layout.Contents {
		all[c.Owner] = []span{}
		if m := s.SharedMemory(c.Owner); m != nil {
			page := uint64(s.Header.PageSize)
			all[c.Owner] = []span{{0, (m.Size + page - 1) / page * page}}
			continue
		}
		if i := s.InheritedByID(c.Owner); i != nil {
			for start, end := range format.EachRun(i.Runs, uint64(s.Header.PageSize)) {
				all[c.Owner] = append(all[c.Owner], span{start, end})
			}
			continue
		}
		mm := s.Mm(c.Owner)
		if mm == nil {
			continue // of a file
		}
		for _, v := range mm.Vmas {
			if v.Kind != format.VmaKind_VMA_ANONYMOUS && v.Kind != format.VmaKind_VMA_FILE_PRIVATE {
				continue
			}
			list := all[c.Owner]
			if n := len(list); n > 0 && list[n-1].end == v.Start {
				list[n-1].end = v.End
			} else {
				all[c.Owner] = append(list, span{v.Start, v.End})
			}
		}
	}
	for _, o := range s.OpenFiles {
		if p := o.GetPacketSocket(); p.GetRingContent() != 0 && all[p.RingContent] != nil {
			all[p.RingContent] = []span{{0, p.RingSize()}}
		}
	}
	page := uint64(s.Header.PageSize)
	for _, f := range s.FileSystems {
		for _, n := range f.Nodes {
			if _, announced := all[n.Content]; announced && n.Content != 0 {
				all[n.Content] = []span{{0, (n.Size + page - 1) / page * page}}
			}
		}
	}
	return all
}

// within tells whether a range lies in one span.
func within(list []span, start, size uint64) bool {
	i := sort.Search(len(list), func(i int) bool { return list[i].end > start })
	return i < len(list) && list[i].start <= start && start+size <= list[i].end
}
