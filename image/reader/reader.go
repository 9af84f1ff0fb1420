// Package reader reads a statefile back, forward, from a pipe or a file:
// decompressing on all cores, and trusting nothing that it has not checked.
package reader

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"runtime"

	"github.com/klauspost/compress/zstd"
	"github.com/zeebo/xxh3"
	"google.golang.org/protobuf/encoding/protowire"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/image/frame"
	"lxc-checkpoint/image/writer"
)

// DamageError says where a statefile is not what was written.
type DamageError struct {
	Offset    int64  // bytes from the begin of the statefile
	Where     string // which frame, and what of it
	Truncated bool   // the end is missing
	Err       error
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("the statefile is damaged at byte %d (%s): %v", e.Offset, e.Where, e.Err)
}

func (e *DamageError) Unwrap() error { return e.Err }

// VersionError says that the statefile is of a version that this program can't
// read.
type VersionError struct{ Version uint32 }

func (e *VersionError) Error() string {
	return fmt.Sprintf("the statefile is of format version %d and this program reads version %d: use the program that wrote it, or a newer one", e.Version, writer.Version)
}

// Reader reads one statefile.
type Reader struct {
	frames   *frames
	decoder  *zstd.Decoder
	skeleton *format.Skeleton
	sum      *xxh3.Hasher
	parser   format.Parser
	records  uint64
	size     int64 // of the skeleton
	failed   error
	trace    func(Frame)
	contents *contents // nil: none was read
}

// Frame tells a tool about a frame that was read.
type Frame struct {
	Index                    int
	Offset                   int64
	Compressed, Decompressed int
	Runs                     []Run // of pages, one for each record of them
}

// Run is where the bytes of a record belong.
type Run struct {
	Owner   uint32
	Address uint64 // Pages.offset
	Bytes   int
}

// New reads from r.
func New(r io.Reader) (*Reader, error) {
	decoder, err := zstd.NewReader(nil,
		zstd.WithDecoderConcurrency(runtime.NumCPU()),
		zstd.WithDecoderMaxMemory(frame.MaxSkeletonFrame),
		zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, err
	}
	return &Reader{
		frames:  &frames{from: bufio.NewReaderSize(r, 1<<20), digest: xxh3.New()},
		decoder: decoder, sum: xxh3.New(),
	}, nil
}

// Trace has f called for every frame; from several goroutines for pages.
func (r *Reader) Trace(f func(Frame)) { r.trace = f }

// Close frees what the Reader holds; not what it reads from.
func (r *Reader) Close() error {
	r.decoder.Close()
	return nil
}

// Skeleton reads and checks the skeleton. It comes first; called again, it
// returns the same.
func (r *Reader) Skeleton() (*format.Skeleton, error) {
	if r.skeleton == nil && r.failed == nil {
		r.skeleton, r.failed = r.readSkeleton()
	}
	return r.skeleton, r.failed
}

func (r *Reader) readSkeleton() (*format.Skeleton, error) {
	s := &format.Skeleton{}
	var in, out []byte
	for s.Layout == nil {
		c, err := r.frames.next(in, frame.MaxSkeletonFrame)
		if errors.Is(err, errTrailer) {
			return nil, r.frames.damage("the skeleton has no end: a frame is missing")
		}
		if err != nil {
			return nil, err
		}
		in = c.data
		if out, err = r.decompress(c, out); err != nil {
			return nil, err
		}
		if r.size += int64(len(out)); r.size > frame.MaxSkeleton {
			return nil, c.damage(errors.New("the skeleton is larger than that of any container"))
		}
		if r.trace != nil {
			r.trace(Frame{Index: c.index, Offset: c.offset, Compressed: len(c.data), Decompressed: len(out)})
		}
		if err := r.skeletonFrame(s, c, out); err != nil {
			return nil, err
		}
	}
	if err := s.Check(); err != nil {
		return nil, fmt.Errorf("the statefile contradicts itself: %w", err)
	}
	return s, nil
}

func (r *Reader) decompress(c compressed, buf []byte) ([]byte, error) {
	b, err := r.decoder.DecodeAll(c.data, buf[:0])
	if err == nil && len(b) != c.size {
		err = errors.New("its size is not what its header says")
	}
	if err != nil {
		return nil, c.damage(fmt.Errorf("it does not decompress: %w", err))
	}
	return b, nil
}

func (c compressed) damage(err error) error {
	return &DamageError{Offset: c.offset, Where: fmt.Sprintf("frame %d", c.index), Err: err}
}

// skeletonFrame adds the records of a frame to the skeleton.
func (r *Reader) skeletonFrame(s *format.Skeleton, c compressed, b []byte) error {
	if len(b) == 0 {
		return c.damage(errors.New("a frame without a record"))
	}
	r.sum.Write(b)
	for len(b) > 0 {
		body, rest, err := record(b)
		if err != nil {
			return c.damage(err)
		}
		rec, err := r.parser.Parse(body)
		if err != nil {
			return c.damage(fmt.Errorf("record %d: %w", r.records, err))
		}
		if rec.Number != r.records {
			return c.damage(fmt.Errorf("record %d of the skeleton should be here, and it is record %d: a frame is missing, doubled or out of order", r.records, rec.Number))
		}
		if h, ok := rec.Body.(*format.Record_Header); ok != (r.records == 0) {
			return c.damage(fmt.Errorf("record %d: the header must be the first record and no other", r.records))
		} else if ok && h.Header.GetVersion() != writer.Version {
			return &VersionError{h.Header.GetVersion()}
		}
		if err := s.Add(rec); err != nil {
			return c.damage(fmt.Errorf("record %d: %w", r.records, err))
		}
		r.records++
		b = rest
		if s.Layout != nil && len(b) > 0 {
			return c.damage(errors.New("something follows the skeleton's last record in its frame"))
		}
	}
	return nil
}

// record takes a record off b.
func record(b []byte) (body, rest []byte, err error) {
	size, n := protowire.ConsumeVarint(b)
	if n < 0 || size > uint64(len(b)-n) || size > frame.MaxRecord {
		return nil, nil, errors.New("the length of a record does not fit its frame")
	}
	return b[n : n+int(size)], b[n+int(size):], nil
}
