package writer

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/image/frame"
)

// Field numbers of statefile.proto that are written by hand.
const (
	recordPages                                                = 14
	pagesOwner, pagesOffset, pagesRound, pagesImage, pagesData = 1, 2, 3, 4, 15
)

// Batch collects records of pages until they fill a frame. It belongs to one
// goroutine; a Writer may have many, which compress side by side.
type Batch struct {
	w       *Writer
	content []byte
	sums    []pagesSum
}

// pagesSum is what a record adds to the sums of its owner.
type pagesSum struct {
	owner       uint32
	bytes, hash uint64
}

// Batch begins a batch.
func (w *Writer) Batch() *Batch { return &Batch{w: w} }

// Pages writes bytes of a content: a multiple of the page size, at most
// frame.MaxPages. It does not keep data. Flush must follow the last one.
func (b *Batch) Pages(owner uint32, offset uint64, round uint32, data []byte) error {
	if len(data) == 0 || len(data) > frame.MaxPages {
		return fmt.Errorf("%d bytes in one record of pages", len(data))
	}
	if len(b.content)+len(data) > frame.Target {
		if err := b.Flush(); err != nil {
			return err
		}
	}
	b.content = appendPages(b.content, owner, offset, round, b.w.imageID, data)
	b.sums = append(b.sums, pagesSum{owner, uint64(len(data)), frame.PagesSum(offset, round, data)})
	b.w.in.Add(int64(len(data)))
	return nil
}

// Flush writes the frame.
func (b *Batch) Flush() error {
	if len(b.content) == 0 {
		return nil
	}
	err := b.w.frame(b.content, func() {
		for _, p := range b.sums {
			s := b.w.sums[p.owner]
			if s == nil {
				s = &format.ContentSum{Owner: p.owner}
				b.w.sums[p.owner] = s
			}
			s.Records++
			s.Bytes += p.bytes
			s.Digest += p.hash
		}
	})
	b.content, b.sums = b.content[:0], b.sums[:0]
	return err
}

// Pages writes one record of pages in a frame of its own.
func (w *Writer) Pages(owner uint32, offset uint64, round uint32, data []byte) error {
	b := w.Batch()
	if err := b.Pages(owner, offset, round, data); err != nil {
		return err
	}
	return b.Flush()
}

// EndInherited says that all pages of an Inherited are written: the Layout's
// next content begins. Every Batch must have been flushed.
func (w *Writer) EndInherited(id uint32) error {
	b, err := format.Marshal(&format.Record{Body: &format.Record_InheritedEnd{InheritedEnd: &format.InheritedEnd{Inherited: id, ImageId: w.imageID}}})
	if err != nil {
		return err
	}
	return w.frame(append(protowire.AppendVarint(nil, uint64(len(b))), b...), nil)
}

// appendPages appends a record with its length. The bytes are its last field,
// so nothing has to go through a marshaller.
func appendPages(b []byte, owner uint32, offset uint64, round uint32, imageID uint64, data []byte) []byte {
	var space [64]byte
	head := space[:0]
	head = protowire.AppendTag(head, pagesOwner, protowire.VarintType)
	head = protowire.AppendVarint(head, uint64(owner))
	head = protowire.AppendTag(head, pagesOffset, protowire.VarintType)
	head = protowire.AppendVarint(head, offset)
	if round != 0 {
		head = protowire.AppendTag(head, pagesRound, protowire.VarintType)
		head = protowire.AppendVarint(head, uint64(round))
	}
	head = protowire.AppendTag(head, pagesImage, protowire.Fixed64Type)
	head = protowire.AppendFixed64(head, imageID)
	head = protowire.AppendTag(head, pagesData, protowire.BytesType)
	head = protowire.AppendVarint(head, uint64(len(data)))

	inner := len(head) + len(data)
	prefix := protowire.SizeTag(recordPages) + protowire.SizeVarint(uint64(inner))
	b = protowire.AppendVarint(b, uint64(prefix+inner))
	b = protowire.AppendTag(b, recordPages, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(inner))
	b = append(b, head...)
	return append(b, data...)
}
