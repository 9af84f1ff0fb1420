// Package writer writes a statefile: records into zstd frames, in a single pass,
// to any io.Writer.
package writer

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"
	"github.com/zeebo/xxh3"
	"google.golang.org/protobuf/encoding/protowire"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/image/frame"
)

// Version of the format that this package writes.
const Version = 1

// Options of a Writer.
type Options struct {
	Level   zstd.EncoderLevel // 0: zstd.SpeedFastest
	ImageID uint64            // 0: random; given by what makes the same statefile twice
}

// Writer writes one statefile.
type Writer struct {
	encoder *zstd.Encoder
	imageID uint64
	buffers sync.Pool
	in, out atomic.Int64

	mu      sync.Mutex // the order of frames
	to      io.Writer
	digest  *xxh3.Hasher
	entries []frame.Entry
	end     format.End
	sums    map[uint32]*format.ContentSum
	failed  error
}

// New writes to w, which is never seeked.
func New(w io.Writer, o Options) *Writer {
	if o.Level == 0 {
		o.Level = zstd.SpeedFastest
	}
	encoder, err := zstd.NewWriter(nil,
		zstd.WithEncoderLevel(o.Level),
		zstd.WithEncoderConcurrency(runtime.NumCPU()),
		zstd.WithEncoderCRC(true),
		zstd.WithWindowSize(frame.Target),
		zstd.WithSingleSegment(true), // so that each frame's header has its size
		zstd.WithLowerEncoderMem(true))
	if err != nil {
		panic(err) // the options are constants, but for a level of the caller's
	}
	if o.ImageID == 0 {
		var id [8]byte
		rand.Read(id[:])
		o.ImageID = binary.LittleEndian.Uint64(id[:])
	}
	return &Writer{
		encoder: encoder, imageID: o.ImageID, to: w, digest: xxh3.New(), sums: map[uint32]*format.ContentSum{},
		buffers: sync.Pool{New: func() any { return new([]byte) }},
	}
}

// Skeleton writes the skeleton's records. It sets the header's version and
// image id. A skeleton that no reader would take is an error, and nothing is
// written.
func (w *Writer) Skeleton(s *format.Skeleton) error {
	if err := s.Check(); err != nil {
		return fmt.Errorf("the image contradicts itself and could not be restarted; please report this: %w", err)
	}
	s.Header.Version, s.Header.ImageId = Version, w.imageID
	sum := xxh3.New()
	var limit format.Parser
	var content []byte
	size := 0
	records := s.Records()
	for _, r := range records {
		b, err := format.Marshal(r)
		if err != nil {
			return fmt.Errorf("record %d of the image: %w", r.Number, err)
		}
		if len(b) > frame.MaxRecord {
			return fmt.Errorf("record %d of the image has %d bytes, more than the format allows", r.Number, len(b))
		}
		if err := limit.Admit(b); err != nil {
			return fmt.Errorf("the image is too large: %w", err)
		}
		if size += len(b) + protowire.SizeVarint(uint64(len(b))); size > frame.MaxSkeleton {
			return fmt.Errorf("the image has more than %d bytes besides memory, more than the format allows", frame.MaxSkeleton)
		}
		if len(content) > 0 && len(content)+len(b) > frame.Target {
			if err := w.frame(content, nil); err != nil {
				return err
			}
			content = content[:0]
		}
		at := len(content)
		content = protowire.AppendVarint(content, uint64(len(b)))
		content = append(content, b...)
		sum.Write(content[at:])
	}
	w.end.SkeletonRecords, w.end.SkeletonDigest = uint64(len(records)), sum.Sum64()
	return w.frame(content, nil)
}

// frame compresses content and writes the frame; note runs under the mutex.
func (w *Writer) frame(content []byte, note func()) error {
	buf := w.buffers.Get().(*[]byte)
	defer w.buffers.Put(buf)
	b := w.encoder.EncodeAll(content, (*buf)[:0])
	*buf = b
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.write(b, uint32(len(content))); err != nil {
		return err
	}
	if note != nil {
		note()
	}
	return nil
}

// write writes a frame; w.mu is held. After an error nothing more is written.
func (w *Writer) write(b []byte, decompressed uint32) error {
	if w.failed != nil {
		return w.failed
	}
	if _, err := w.to.Write(b); err != nil {
		w.failed = fmt.Errorf("write the statefile: %w", err)
		return w.failed
	}
	w.digest.Write(b)
	w.out.Add(int64(len(b)))
	w.entries = append(w.entries, frame.Entry{Compressed: uint32(len(b)), Decompressed: decompressed})
	return nil
}

// Commit writes the end of the statefile; then, if what it writes to has a
// method Commit() error, it calls that, which makes the file durable.
func (w *Writer) Commit() error {
	for _, s := range w.sums {
		w.end.Contents = append(w.end.Contents, s)
	}
	slices.SortFunc(w.end.Contents, func(a, b *format.ContentSum) int { return int(a.Owner) - int(b.Owner) })
	w.end.ImageId = w.imageID
	b, err := format.Marshal(&format.Record{Body: &format.Record_End{End: &w.end}})
	if err != nil {
		return err
	}
	if b = append(protowire.AppendVarint(nil, uint64(len(b))), b...); len(b) > frame.MaxContentFrame {
		return fmt.Errorf("the image has %d address spaces, more than the format allows", len(w.end.Contents))
	}
	if err := w.frame(b, nil); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.write(frame.Digest(w.digest.Sum128()), 0); err != nil {
		return err
	}
	if err := w.write(frame.SeekTable(w.entries), 0); err != nil {
		return err
	}
	w.failed = errors.New("the statefile is complete already")
	if c, ok := w.to.(interface{ Commit() error }); ok {
		return c.Commit()
	}
	return nil
}

// BytesIn are the page bytes taken so far; safe from any goroutine.
func (w *Writer) BytesIn() int64 { return w.in.Load() }

// BytesOut are the bytes written so far; safe from any goroutine.
func (w *Writer) BytesOut() int64 { return w.out.Load() }
