package memory

import (
	"context"
	"sync"

	"lxc-checkpoint/progress"
)

// PageWriter takes bytes of contents and does not keep data (writer.Batch).
type PageWriter interface {
	Pages(owner uint32, offset uint64, round uint32, data []byte) error
	Flush() error // after the last Pages
}

// Counts are the pages that Pump saw.
type Counts struct {
	Anonymous uint64 `json:"anonymous"` // stored, of private anonymous memory
	File      uint64 `json:"file"`      // stored, written pages of private file mappings
	Huge      uint64 `json:"huge"`      // stored, of MAP_HUGETLB mappings, in base pages
	Shared    uint64 `json:"shared"`    // stored, of shared anonymous memory
	Zero      uint64 `json:"zero"`      // present, full of zeros and not stored
	BytesRead uint64 `json:"-"`
}

// Stored is how many pages were given to the writer.
func (c *Counts) Stored() uint64 { return c.Anonymous + c.File + c.Huge + c.Shared }

// batchSize is how many bytes a worker reads at a time, at most: large enough
// that the calls cost nothing, and what writer.Pages takes at most.
const batchSize = 1 << 20

// maxPieces bounds the runs of one batch: the iovecs of a call.
const maxPieces = 256

// Writers are where Pump writes to.
type Writers struct {
	New          func() PageWriter        // one for each worker
	EndInherited func(owner uint32) error // after all pages of an Inherited
}

// Pump moves the bytes of all contents to writers: first those of each
// Inherited, one after the other, then all others.
func (m *Memory) Pump(ctx context.Context, to Writers, workers int, p *progress.Progress) (Counts, error) {
	var total Counts
	left := m.sources
	for i, n := range m.inherited {
		if err := m.pump(ctx, left[:n], to, workers, p, &total); err != nil {
			return total, err
		}
		if err := to.EndInherited(m.Inherited[i].Id); err != nil {
			return total, err
		}
		left = left[n:]
	}
	return total, m.pump(ctx, left, to, workers, p, &total)
}

// pump moves the bytes of some sources. Its workers each claim the next runs of
// pages, read them into a buffer of their own, and write what is not zero:
// memory stays bounded, whatever the container's size. The first error, or the
// end of ctx, ends all of them.
func (m *Memory) pump(ctx context.Context, sources []source, to Writers, workers int, p *progress.Progress, total *Counts) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	q := &queue{sources: sources}
	var (
		mutex sync.Mutex
		first error
		group sync.WaitGroup
	)
	for range max(1, workers) {
		group.Go(func() {
			k := worker{to: to.New(), buffer: buffers.Get().([]byte)}
			defer k.close()
			err := k.work(ctx, q, p)
			mutex.Lock()
			defer mutex.Unlock()
			total.add(&k.counts)
			if err != nil && first == nil {
				first = err
				cancel()
			}
		})
	}
	group.Wait()
	return first
}

// work moves batches until there are no more.
func (k *worker) work(ctx context.Context, q *queue, p *progress.Progress) error {
	for {
		b := q.claim(&k.pieces)
		if b == nil {
			return k.to.Flush()
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := k.move(b)
		if err != nil {
			return err
		}
		p.Add(int64(n))
	}
}

func (c *Counts) add(o *Counts) {
	c.Anonymous += o.Anonymous
	c.File += o.File
	c.Huge += o.Huge
	c.Shared += o.Shared
	c.Zero += o.Zero
	c.BytesRead += o.BytesRead
}

var buffers = sync.Pool{New: func() any { return make([]byte, batchSize) }}

// queue hands out the runs of all sources in their order.
type queue struct {
	mutex   sync.Mutex
	sources []source
	extent  int    // of sources[0]
	done    uint64 // bytes of that extent that are handed out
}

// claim takes the next batch: pieces of one source that are read in one way,
// batchSize bytes at most. It reuses pieces and returns nil at the end.
func (q *queue) claim(pieces *[]extent) *batch {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	if len(q.sources) == 0 {
		return nil
	}
	s := &q.sources[0]
	b := &batch{source: s, pieces: (*pieces)[:0]}
	room := uint64(batchSize)
	for q.extent < len(s.extents) && room > 0 && len(b.pieces) < maxPieces {
		e := s.extents[q.extent]
		if len(b.pieces) > 0 && (e.how^b.pieces[0].how)&byFile != 0 {
			break
		}
		n := min(room, e.length-q.done)
		b.pieces = append(b.pieces, extent{e.start + q.done, n, e.how})
		room -= n
		if q.done += n; q.done == e.length {
			q.extent, q.done = q.extent+1, 0
		}
	}
	if q.extent == len(s.extents) {
		q.sources, q.extent = q.sources[1:], 0
	}
	*pieces = b.pieces
	return b
}

// batch is what a worker moves at a time.
type batch struct {
	source *source
	pieces []extent
}
