package reader

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/klauspost/compress/zstd"
	"github.com/zeebo/xxh3"

	"lxc-checkpoint/image/frame"
)

// frames reads the compressed frames one after the other and checks what does
// not need decompression.
type frames struct {
	from    *bufio.Reader
	digest  *xxh3.Hasher
	offset  int64 // of the next byte in the statefile
	entries []frame.Entry
}

// compressed is a zstd frame.
type compressed struct {
	index  int
	offset int64
	size   int // decompressed
	data   []byte
}

// errTrailer says that the next frame is the digest's: no more records.
var errTrailer = errors.New("the records have ended")

func (f *frames) damage(format string, args ...any) error {
	return &DamageError{Offset: f.offset, Where: fmt.Sprintf("frame %d", len(f.entries)), Err: fmt.Errorf(format, args...)}
}

// truncated makes an end of the stream a sentence.
func (f *frames) truncated(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &DamageError{Offset: f.offset, Where: fmt.Sprintf("frame %d", len(f.entries)), Err: errors.New("it is truncated: the rest is missing"), Truncated: true}
	}
	return fmt.Errorf("read the statefile: %w", err)
}

// next reads the next zstd frame, of at most limit bytes decompressed, into buf.
// Its extent follows from the headers of frame and blocks (RFC 8878, 3.1.1).
func (f *frames) next(buf []byte, limit uint64) (compressed, error) {
	start, err := f.from.Peek(4)
	if f.offset == 0 && len(start) == 0 && errors.Is(err, io.EOF) {
		return compressed{}, &DamageError{Where: "its begin", Err: errors.New("it is empty"), Truncated: true}
	}
	if err != nil {
		return compressed{}, f.truncated(eofIfShort(err))
	}
	switch binary.LittleEndian.Uint32(start) {
	case frame.MagicZstd:
	case frame.MagicDigest:
		return compressed{}, errTrailer
	default:
		if f.offset == 0 {
			return compressed{}, &DamageError{Where: "its begin", Err: errors.New("it is no statefile: it does not begin with a zstd frame")}
		}
		return compressed{}, f.damage("here should begin a zstd frame")
	}
	peek, err := f.from.Peek(zstd.HeaderMaxSize)
	if err != nil && len(peek) < 6 {
		return compressed{}, f.truncated(err)
	}
	const reserved = 0x18 // bits of the descriptor: reserved, and unused
	var h zstd.Header
	if err := h.Decode(peek); err != nil {
		if len(peek) < zstd.HeaderMaxSize {
			return compressed{}, f.truncated(io.ErrUnexpectedEOF)
		}
		return compressed{}, f.damage("the header of a zstd frame is damaged: %w", err)
	}
	if peek[4]&reserved != 0 || !h.SingleSegment || !h.HasFCS || !h.HasCheckSum || h.DictionaryID != 0 || h.FrameContentSize > limit {
		return compressed{}, f.damage("the header of a zstd frame is not one of a statefile's")
	}
	buf, err = f.read(buf[:0], h.HeaderSize)
	if err != nil {
		return compressed{}, err
	}
	for last := false; !last; {
		if buf, last, err = f.block(buf, h.FrameContentSize); err != nil {
			return compressed{}, err
		}
	}
	if buf, err = f.read(buf, 4); err != nil { // checksum
		return compressed{}, err
	}
	c := compressed{index: len(f.entries), offset: f.offset, size: int(h.FrameContentSize), data: buf}
	f.done(buf, c.size)
	return c, nil
}

// block appends one block.
func (f *frames) block(buf []byte, content uint64) (_ []byte, last bool, err error) {
	at := len(buf)
	if buf, err = f.read(buf, 3); err != nil {
		return nil, false, err
	}
	head := uint32(buf[at]) | uint32(buf[at+1])<<8 | uint32(buf[at+2])<<16
	size := int(head >> 3)
	const rle, reserved = 1, 3
	switch head >> 1 & 3 {
	case rle:
		size = 1
	case reserved:
		return nil, false, f.damage("a block is of a type that does not exist")
	}
	const maxBlock = 128 << 10
	if size > maxBlock || uint64(len(buf)) > content+content/8+1<<16 {
		return nil, false, f.damage("a block is larger than any may be")
	}
	buf, err = f.read(buf, size)
	return buf, head&1 != 0, err
}

func (f *frames) read(buf []byte, n int) ([]byte, error) {
	at := len(buf)
	buf = slices.Grow(buf, n)[:at+n]
	if _, err := io.ReadFull(f.from, buf[at:]); err != nil {
		return nil, f.truncated(err)
	}
	return buf, nil
}

func (f *frames) done(b []byte, size int) {
	f.digest.Write(b)
	f.offset += int64(len(b))
	f.entries = append(f.entries, frame.Entry{Compressed: uint32(len(b)), Decompressed: uint32(size)})
}

// trailer reads the rest and compares it, byte for byte, with what it must be.
func (f *frames) trailer() error {
	for _, t := range []struct {
		what string
		want func() []byte
	}{
		{"the digest does not match: frames before it were changed, or changed places", func() []byte { return frame.Digest(f.digest.Sum128()) }},
		{"the seek table does not match the frames", func() []byte { return frame.SeekTable(f.entries) }},
	} {
		want := t.want()
		have, err := f.read(nil, len(want))
		if err != nil {
			return err
		}
		if !slices.Equal(have, want) {
			return f.located(f.damage("%s", t.what))
		}
		f.done(have, 0)
	}
	switch _, err := f.from.ReadByte(); {
	case err == nil:
		return f.damage("there is something behind its end")
	case errors.Is(err, io.EOF):
		return nil
	default:
		return fmt.Errorf("read the statefile: %w", err)
	}
}

// located makes an error about the whole one about the frame where the seek
// table, if it is there, ceases to agree with the frames that came.
func (f *frames) located(err error) error {
	var d *DamageError
	if !errors.As(err, &d) {
		return err
	}
	// What of the trailer was not read lies ahead; the table is its last part.
	rest, readErr := io.ReadAll(io.LimitReader(f.from, int64(len(frame.SeekTable(f.entries)))+1<<20))
	if readErr != nil {
		return err
	}
	table := frame.ParseSeekTable(rest)
	offset := int64(0)
	for i := range min(len(table), len(f.entries)) {
		if table[i] != f.entries[i] {
			return &DamageError{Offset: offset, Where: fmt.Sprintf("frame %d", i), Err: fmt.Errorf("this is not the frame that was written here: %w", d.Err)}
		}
		offset += int64(table[i].Compressed)
	}
	return err
}

func eofIfShort(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
