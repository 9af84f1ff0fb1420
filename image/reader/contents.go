package reader

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/image/frame"
)

// contents is the reading of all contents, by one goroutine that reads frames
// and several that decompress them.
type contents struct {
	*Reader
	fn      func(owner uint32, offset uint64, data []byte) error
	owners  map[uint32][]span
	section int      // how many Inherited have come to their end
	buffers [][]byte // one for each worker
	mu      sync.Mutex
	sums    map[uint32]*format.ContentSum
	end     *format.End
	// Index of the frame with the end, and where it begins.
	ended   int
	endedAt int64
}

// Contents reads the contents and calls fn for the bytes of each record of
// pages, from as many goroutines as workers says, in no order. fn must not keep
// data. Then it checks that all has come that was written, and nothing else: an
// error means that what fn got must not be used.
func (r *Reader) Contents(ctx context.Context, workers int, fn func(owner uint32, offset uint64, data []byte) error) error {
	s, err := r.Skeleton()
	if err != nil {
		return err
	}
	c := r.begin(s)
	for c.section < len(s.Inherited) {
		if _, err := r.Inherited(ctx, workers, fn); err != nil {
			return err
		}
	}
	c.fn = fn
	if err := c.run(ctx, max(workers, 1)); err != nil {
		return err
	}
	if c.end == nil {
		return r.frames.damage("the record that ends a statefile is missing")
	}
	if last := len(r.frames.entries) - 1; c.ended != last {
		return r.frames.damage("frame %d has the record that ends a statefile, and more frames follow", c.ended)
	}
	if err := c.checkEnd(); err != nil {
		return r.frames.located(err)
	}
	return r.frames.trailer()
}

// Inherited reads the pages of the next Inherited of the skeleton, as Contents
// does, which reads what it has left. They are not verified before Contents has
// come to the end.
func (r *Reader) Inherited(ctx context.Context, workers int, fn func(owner uint32, offset uint64, data []byte) error) (id uint32, err error) {
	s, err := r.Skeleton()
	if err != nil {
		return 0, err
	}
	c := r.begin(s)
	if c.section >= len(s.Inherited) {
		return 0, errors.New("the statefile has no more inherited pages")
	}
	c.fn = fn
	if err := c.run(ctx, max(workers, 1)); err != nil {
		return 0, err
	}
	c.section++
	return s.Inherited[c.section-1].Id, nil
}

func (r *Reader) begin(s *format.Skeleton) *contents {
	if r.contents == nil {
		r.contents = &contents{Reader: r, owners: spans(s), sums: map[uint32]*format.ContentSum{}}
	}
	return r.contents
}

// run reads to the end of the present Inherited, or to the trailer if all have
// come.
func (c *contents) run(parent context.Context, workers int) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	jobs := make(chan compressed)
	free := make(chan []byte, 2*workers) // bounds what is in memory
	for range cap(free) {
		free <- nil
	}
	for len(c.buffers) < workers {
		c.buffers = append(c.buffers, nil)
	}
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			buf := c.buffers[i]
			for job := range jobs {
				var err error
				if buf, err = c.frame(job, buf); err != nil {
					cancel(err)
				}
				free <- job.data
			}
			c.buffers[i] = buf
		})
	}
	err := c.feed(ctx, jobs, free)
	close(jobs)
	wg.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// feed reads frames until the trailer, or the end of the present Inherited.
func (c *contents) feed(ctx context.Context, jobs chan<- compressed, free chan []byte) error {
	inherited := c.section < len(c.skeleton.Inherited)
	for {
		var buf []byte
		select {
		case buf = <-free:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		job, err := c.frames.next(buf, frame.MaxContentFrame)
		if errors.Is(err, errTrailer) && !inherited {
			return nil
		}
		if errors.Is(err, errTrailer) {
			return c.frames.damage("the end of the inherited pages %d is missing", c.skeleton.Inherited[c.section].Id)
		}
		if err != nil {
			return err
		}
		if inherited && job.size <= mostInheritedEnd {
			// No record of pages is so small.
			return c.inheritedEnd(job)
		}
		select {
		case jobs <- job:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// mostInheritedEnd is more than an InheritedEnd takes, in bytes.
const mostInheritedEnd = 64

// inheritedEnd checks the end of the present Inherited.
func (c *contents) inheritedEnd(job compressed) error {
	b, err := c.decompress(job, nil)
	if err != nil {
		return err
	}
	rec := &format.Record{}
	body, rest, err := record(b)
	if err != nil || len(rest) > 0 || proto.Unmarshal(body, rec) != nil || rec.GetInheritedEnd() == nil {
		return job.damage(errors.New("this should be the end of inherited pages"))
	}
	switch e := rec.GetInheritedEnd(); {
	case e.ImageId != c.skeleton.Header.ImageId:
		return job.damage(errors.New("a frame of another statefile"))
	case e.Inherited != c.skeleton.Inherited[c.section].Id:
		return job.damage(fmt.Errorf("the inherited pages %d end where those of %d should", e.Inherited, c.skeleton.Inherited[c.section].Id))
	}
	if c.trace != nil {
		c.trace(Frame{Index: job.index, Offset: job.offset, Compressed: len(job.data), Decompressed: len(b)})
	}
	return nil
}

// frame handles a frame's records. It returns its buffer.
func (c *contents) frame(job compressed, buf []byte) ([]byte, error) {
	b, err := c.decompress(job, buf)
	if err != nil {
		return buf, err
	}
	f := Frame{Index: job.index, Offset: job.offset, Compressed: len(job.data), Decompressed: len(b)}
	if len(b) == 0 {
		return b, job.damage(errors.New("a frame without a record"))
	}
	for rest := b; len(rest) > 0; {
		var body []byte
		if body, rest, err = record(rest); err != nil {
			return b, job.damage(err)
		}
		p, end, err := parseContent(body)
		if err != nil {
			return b, job.damage(err)
		}
		if end != nil {
			if len(rest) > 0 {
				return b, job.damage(errors.New("something follows the record that ends a statefile"))
			}
			if err := c.setEnd(end, job); err != nil {
				return b, err
			}
			continue
		}
		if err := c.check(p); err != nil {
			return b, job.damage(err)
		}
		c.add(p)
		if c.trace != nil {
			f.Runs = append(f.Runs, Run{p.owner, p.offset, len(p.data)})
		}
		if err := c.fn(p.owner, p.offset, p.data); err != nil {
			return b, err
		}
	}
	if c.trace != nil {
		c.trace(f)
	}
	return b, nil
}

// pages is a record of pages; data lies in the frame's buffer.
type pages struct {
	owner, round  uint32
	offset, image uint64
	data          []byte
}

// parseContent parses a record of pages by hand, without copying the bytes, or
// the end.
func parseContent(b []byte) (*pages, *format.End, error) {
	bad := errors.New("a record that belongs to no content")
	num, typ, n := protowire.ConsumeTag(b)
	if n < 0 || typ != protowire.BytesType {
		return nil, nil, bad
	}
	const recordPages, recordEnd = 14, 15
	if num == recordEnd {
		rec := &format.Record{}
		if err := proto.Unmarshal(b, rec); err != nil || rec.GetEnd() == nil {
			return nil, nil, errors.New("the record that ends the statefile is none")
		}
		return nil, rec.GetEnd(), nil
	}
	body, m := protowire.ConsumeBytes(b[n:])
	if num != recordPages || m < 0 || n+m != len(b) {
		return nil, nil, bad
	}
	p := &pages{}
	for len(body) > 0 {
		num, typ, n := protowire.ConsumeTag(body)
		if n < 0 {
			return nil, nil, bad
		}
		body = body[n:]
		var v uint64
		switch {
		case num <= 3 && typ == protowire.VarintType:
			v, n = protowire.ConsumeVarint(body)
		case num == 4 && typ == protowire.Fixed64Type:
			v, n = protowire.ConsumeFixed64(body)
		case num == 15 && typ == protowire.BytesType:
			p.data, n = protowire.ConsumeBytes(body)
			if n != len(body) {
				return nil, nil, errors.New("page bytes are not the last of their record")
			}
		default:
			n = protowire.ConsumeFieldValue(num, typ, body)
		}
		if n < 0 {
			return nil, nil, bad
		}
		body = body[n:]
		switch num {
		case 1:
			p.owner = uint32(v)
		case 2:
			p.offset = v
		case 3:
			p.round = uint32(v)
		case 4:
			p.image = v
		}
	}
	return p, nil, nil
}

// check checks a record of pages against the skeleton.
func (c *contents) check(p *pages) error {
	page := uint64(c.skeleton.Header.PageSize)
	size := uint64(len(p.data))
	switch {
	case p.image != c.skeleton.Header.ImageId:
		return errors.New("a frame of another statefile")
	case c.owners[p.owner] == nil:
		return fmt.Errorf("bytes of object %d, which has no content", p.owner)
	case !c.inPlace(p.owner):
		return fmt.Errorf("bytes of object %d are not where the layout has them: inherited pages come first, each at its turn", p.owner)
	case size == 0 || size > frame.MaxPages || size%page != 0 || p.offset%page != 0 || p.offset+size < p.offset:
		return fmt.Errorf("%d bytes at %#x of object %d are no pages", size, p.offset, p.owner)
	case !within(c.owners[p.owner], p.offset, size):
		return fmt.Errorf("%d bytes at %#x of object %d, which has no memory there to save", size, p.offset, p.owner)
	case p.round != 0:
		return fmt.Errorf("bytes of round %d, which this version does not know", p.round)
	}
	return nil
}

// inPlace tells whether it is the owner's turn.
func (c *contents) inPlace(owner uint32) bool {
	if c.section < len(c.skeleton.Inherited) {
		return owner == c.skeleton.Inherited[c.section].Id
	}
	return c.skeleton.InheritedByID(owner) == nil
}

func (c *contents) add(p *pages) {
	sum := frame.PagesSum(p.offset, p.round, p.data)
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.sums[p.owner]
	if s == nil {
		s = &format.ContentSum{Owner: p.owner}
		c.sums[p.owner] = s
	}
	s.Records++
	s.Bytes += uint64(len(p.data))
	s.Digest += sum
}

func (c *contents) setEnd(e *format.End, job compressed) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end != nil {
		if job.index < c.ended { // another worker had the second one first
			job.index, job.offset = c.ended, c.endedAt
		}
		return job.damage(errors.New("a second end"))
	}
	if e.ImageId != c.skeleton.Header.ImageId {
		return job.damage(errors.New("the end of another statefile"))
	}
	c.end, c.ended, c.endedAt = e, job.index, job.offset
	return nil
}

// checkEnd compares what has come with what the end says.
func (c *contents) checkEnd() error {
	bad := func(f string, args ...any) error {
		return &DamageError{Offset: c.frames.offset, Where: "its end", Err: fmt.Errorf(f, args...)}
	}
	if c.end.SkeletonRecords != c.records || c.end.SkeletonDigest != c.sum.Sum64() {
		return bad("the skeleton is not the one that was written")
	}
	want := map[uint32]*format.ContentSum{}
	for _, s := range c.end.Contents {
		want[s.Owner] = s
	}
	var all []uint32
	for owner := range want {
		all = append(all, owner)
	}
	for owner := range c.sums {
		if want[owner] == nil {
			all = append(all, owner)
		}
	}
	slices.Sort(all)
	for _, owner := range all {
		w, h := want[owner], c.sums[owner]
		if w.GetRecords() != h.GetRecords() || w.GetBytes() != h.GetBytes() {
			return bad("object %d has %d bytes in %d frames instead of %d in %d: a frame is missing or doubled", owner, h.GetBytes(), h.GetRecords(), w.GetBytes(), w.GetRecords())
		}
		if w.GetDigest() != h.GetDigest() {
			return bad("the bytes of object %d are not those that were written", owner)
		}
	}
	return nil
}
