package uring

import (
	"errors"
	"os"

	"lxc-checkpoint/image/format"
)

// registered finds what programs have registered with the ring: buffers, files,
// an eventfd, rings of buffers, limits of workers.
func (r *ring) registered() error {
	for _, step := range []func() error{r.buffers, r.files, r.event, r.bufferRings} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// most is more than the kernel registers of anything (IORING_MAX_FIXED_FILES).
const most = 1 << 20

// slot is a place in a table of what is registered: where the kernel has that, 0 if
// there is nothing.
type slot struct{ at, tag uint64 }

// slots reads a table of io_rsrc_nodes, of each that member.
func (r *ring) slots(table, member string) []slot {
	n := r.ctx.u32(table + ".nr")
	if n == 0 || n > most {
		return nil
	}
	slots := make([]slot, n)
	for i, at := range r.k.pointers(r.ctx.u64(table+".nodes"), int(n)) {
		if at != 0 {
			node := r.k.object("io_rsrc_node", at)
			slots[i] = slot{node.u64(member), node.u64("tag")}
		}
	}
	return slots
}

// oldSlots reads a table as kernels before Linux 6.13 keep it: an array of pointers,
// and pages of tags (io_get_tag_slot, io_uring/rsrc.c).
func (r *ring) oldSlots(table, count, data string) []slot {
	n := r.ctx.u32(count)
	if n == 0 || n > most {
		return nil
	}
	slots := make([]slot, n)
	for i, at := range r.k.pointers(r.ctx.u64(table), int(n)) {
		slots[i].at = at
	}
	aPage := os.Getpagesize() / 8
	pages := r.k.pointers(r.k.object("io_rsrc_data", r.ctx.u64(data)).u64("tags"), (int(n)+aPage-1)/aPage)
	for i, page := range pages {
		for k, tag := range r.k.pointers(page, min(aPage, int(n)-i*aPage)) {
			slots[i*aPage+k].tag = tag
		}
	}
	return slots
}

func (r *ring) buffers() error {
	var slots []slot
	switch {
	case r.k.has("io_ring_ctx", "buf_table"):
		slots = r.slots("buf_table", "buf")
	case r.k.has("io_ring_ctx", "user_bufs"):
		slots = r.oldSlots("user_bufs", "nr_user_bufs", "buf_data")
	}
	for i, s := range slots {
		b := &format.IoUringBuffer{}
		r.out.Buffers = append(r.out.Buffers, b)
		if s.at == 0 {
			continue
		}
		m := r.k.object("io_mapped_ubuf", s.at)
		if r.k.has("io_mapped_ubuf", "is_kbuf") && m.u8("is_kbuf") != 0 {
			return obstacle("have the program unregister it", "its registered buffer %d is the kernel's", i)
		}
		const nothing = ^uint64(0) // of a buffer in empty places, before Linux 6.13
		if m.u64("ubuf") == nothing {
			continue
		}
		b.Start, b.Tag = m.u64("ubuf"), s.tag
		if r.k.has("io_mapped_ubuf", "len") {
			b.Length = uint64(m.u32("len"))
		} else {
			b.Length = m.u64("ubuf_end") - b.Start
		}
		if r.k.err != nil {
			return nil
		}
		ok, err := r.Writable(r.owner.PID, b.Start, b.Length)
		if err != nil {
			return err
		}
		if !ok {
			return obstacle("have the program unregister it", "its registered buffer %d is no longer memory that the program can write", i)
		}
	}
	return nil
}

func (r *ring) files() error {
	var slots []slot
	if r.k.has("io_ring_ctx", "file_table.data") {
		slots = r.slots("file_table.data", "file_ptr")
	} else {
		slots = r.oldSlots("file_table.files", "nr_user_files", "file_data")
	}
	for i, s := range slots {
		f := &format.IoUringFile{}
		r.out.Files = append(r.out.Files, f)
		if s.at == 0 {
			continue
		}
		const ours = 3 // FFS_MASK: two bits are the kernel's notes
		id, known := r.File(s.at &^ ours)
		if !known {
			return obstacle("have the program keep a descriptor of it", "no descriptor leads to its registered file %d", i)
		}
		f.OpenFile, f.Tag = id, s.tag
	}
	return nil
}

func (r *ring) event() error {
	at := r.ctx.u64("io_ev_fd")
	if at == 0 {
		return nil
	}
	e := r.k.object("io_ev_fd", at)
	id, known := r.Event(e.u64("cq_ev_fd"))
	if !known {
		return obstacle("have the program keep a descriptor of it", "no descriptor leads to the eventfd that it signals")
	}
	const asyncBit = 1
	r.out.Event = &format.IoUringEvent{OpenFile: id, Async: e.u32("eventfd_async")&asyncBit != 0}
	return nil
}

// bufferRings walks the xarray of groups of provided buffers; in Linux 6.1 the first
// 64 groups are in an array.
func (r *ring) bufferRings() error {
	if !r.k.has("io_ring_ctx", "io_bl_xa") {
		return nil
	}
	var err error
	each := func(at uint64) {
		if e := r.bufferRing(r.k.object("io_buffer_list", at)); e != nil {
			err = e
		}
	}
	if r.k.has("io_ring_ctx", "io_bl") && r.ctx.u64("io_bl") != 0 {
		const groups = 64 // BGID_ARRAY
		size, e := r.k.Size("io_buffer_list")
		r.k.fail(e)
		for i := range uint64(groups) {
			each(r.ctx.u64("io_bl") + i*uint64(size))
		}
	}
	r.xarray(r.ctx.u64("io_bl_xa.xa_head"), each)
	return err
}

// kindOfList says what a group of buffers is.
func (r *ring) kindOfList(l *object) (isRing, ownMemory, incremental bool) {
	const (
		ring            = 1    // IOBL_BUF_RING
		inc             = 2    // IOBL_INC
		oldMmap, oldInc = 2, 4 // IOBL_MMAP, IOBL_INC, where regions are not known yet
		userProvided    = 2    // IO_REGION_F_USER_PROVIDED
	)
	switch {
	case r.k.has("io_buffer_list", "region"):
		flags := l.u16("flags")
		return flags&ring != 0, flags&ring != 0 && l.inner("io_mapped_region", "region").u32("flags")&userProvided == 0, flags&inc != 0
	case r.k.has("io_buffer_list", "flags"):
		flags := l.u16("flags")
		return flags&ring != 0, flags&oldMmap != 0, flags&oldInc != 0
	case isLinux61():
		return l.u16("buf_nr_pages") != 0, false, false
	}
	r.k.fail(errors.New("its groups of buffers are kept in another form"))
	return false, false, false
}

func (r *ring) bufferRing(l *object) error {
	isRing, ownMemory, incremental := r.kindOfList(l)
	if !isRing {
		if list := l.place("buf_list"); r.k.pointer(list) == list || r.k.err != nil {
			return nil // all are used, and that it was there makes no difference
		}
		return obstacle("have the program use a ring of buffers (IORING_REGISTER_PBUF_RING)", "buffers of the old kind are provided to it (IORING_OP_PROVIDE_BUFFERS)")
	}
	b := &format.IoUringBufferRing{Group: uint32(l.u16("bgid")), Entries: uint32(l.u16("nr_entries")), Head: uint32(l.u16("head"))}
	if b.Entries == 0 { // 65536 does not fit
		b.Entries = uint32(l.u16("mask")) + 1
	}
	if incremental {
		b.Flags |= 2 // IOU_PBUF_RING_INC
	}
	pages, memory := "buf_pages", "buf_ring"
	if r.k.has("io_buffer_list", "region") {
		pages, memory = "region.pages", "region.ptr"
	}
	if ownMemory {
		b.Flags |= 1 // IOU_PBUF_RING_MMAP
		b.Ring = r.k.read(l.u64(memory), int(b.Entries)*16)
		r.out.BufferRings = append(r.out.BufferRings, b)
		return nil
	}
	start, found, err := r.Find(r.owner.PID, r.frame(r.k.pointer(l.u64(pages))))
	if err != nil {
		return err
	}
	if !found {
		return obstacle("have the program register it again", "the memory of its ring of buffers %d is no longer the program's", b.Group)
	}
	b.Start = start
	r.out.BufferRings = append(r.out.BufferRings, b)
	return nil
}

// frame is the number of the page that a struct page stands for. Where the
// first of all is, those of the ring's own memory tell, whose numbers are known
// by its mapping.
func (r *ring) frame(page uint64) uint64 {
	size, err := r.k.Size("page")
	r.k.fail(err)
	if err != nil {
		return 0
	}
	pages := "ring_pages"
	if r.k.has("io_ring_ctx", "ring_region") {
		pages = "ring_region.pages"
	}
	known := r.k.pointer(r.ctx.u64(pages))
	return r.Frame + uint64(int64(page-known)/int64(size))
}

// xarray calls each with every pointer in an xarray (include/linux/xarray.h).
func (r *ring) xarray(entry uint64, each func(at uint64)) {
	const (
		internal = 2 // in the lowest two bits: a node, if it is no small number
		slots    = 64
	)
	switch {
	case entry == 0 || r.k.err != nil:
	case entry&3 != internal:
		if entry&3 == 0 {
			each(entry)
		}
	case entry > 4096:
		node := entry - internal
		for _, inner := range r.k.pointers(node+r.k.offset("xa_node", "slots"), slots) {
			r.xarray(inner, each)
		}
	}
}
