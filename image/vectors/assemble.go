package vectors

import (
	"bytes"
	"os"
	"slices"

	"github.com/klauspost/compress/zstd"
	"github.com/zeebo/xxh3"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/image/frame"
	"lxc-checkpoint/image/writer"
)

// ImageID is that of all samples that do not say otherwise.
const ImageID = 0x1122334455667788

// Pages are bytes of a content.
type Pages struct {
	Owner  uint32
	Offset uint64
	Data   []byte
}

// Fill returns a page full of a byte.
func Fill(b byte) []byte { return bytes.Repeat([]byte{b}, Page) }

// Write returns the statefile of a skeleton and its contents, as our own writer
// makes it, with the contents of each Inherited first. It panics on errors, as all
// of this package does: it is for programs that are wrong then.
func Write(s *format.Skeleton, id uint64, contents ...Pages) []byte {
	var b bytes.Buffer
	w := writer.New(&b, writer.Options{ImageID: id})
	must(w.Skeleton(s))
	for _, i := range s.Inherited {
		contents = slices.DeleteFunc(slices.Clone(contents), func(p Pages) bool {
			if p.Owner == i.Id {
				must(w.Pages(p.Owner, p.Offset, 0, p.Data))
			}
			return p.Owner == i.Id
		})
		must(w.EndInherited(i.Id))
	}
	for _, p := range contents {
		must(w.Pages(p.Owner, p.Offset, 0, p.Data))
	}
	must(w.Commit())
	return b.Bytes()
}

// Frames takes a statefile apart: its zstd frames, without the trailer.
func Frames(statefile []byte) [][]byte {
	var all [][]byte
	entries := frame.ParseSeekTable(statefile)
	for _, e := range entries[:len(entries)-1] { // the last is the digest
		all = append(all, statefile[:e.Compressed])
		statefile = statefile[e.Compressed:]
	}
	return all
}

// Assemble puts zstd frames together, with a trailer that fits them.
func Assemble(frames ...[]byte) []byte {
	var b []byte
	var entries []frame.Entry
	for _, f := range frames {
		var h zstd.Header
		must(h.Decode(f))
		entries = append(entries, frame.Entry{Compressed: uint32(len(f)), Decompressed: uint32(h.FrameContentSize)})
		b = append(b, f...)
	}
	b = append(b, frame.Digest(xxh3.Hash128(b))...)
	entries = append(entries, frame.Entry{Compressed: frame.DigestSize})
	return append(b, frame.SeekTable(entries)...)
}

// Record encodes a record with the length before it.
func Record(r *format.Record) []byte {
	b, err := format.Marshal(r)
	must(err)
	return append(protowire.AppendVarint(nil, uint64(len(b))), b...)
}

// Parse decodes the first of the records of a frame.
func Parse(content []byte, r *format.Record) error {
	b, n := protowire.ConsumeBytes(content)
	if n < 0 {
		return protowire.ParseError(n)
	}
	return proto.Unmarshal(b, r)
}

// Frame compresses records into a frame.
func Frame(records ...[]byte) []byte {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderCRC(true), zstd.WithSingleSegment(true), zstd.WithZeroFrames(true))
	must(err)
	return e.EncodeAll(bytes.Join(records, nil), nil)
}

// Content decompresses a frame.
func Content(frame []byte) []byte {
	d, err := zstd.NewReader(nil)
	must(err)
	defer d.Close()
	b, err := d.DecodeAll(frame, nil)
	must(err)
	return b
}

// Print writes a statefile to standard output.
func Print(statefile []byte) {
	_, err := os.Stdout.Write(statefile)
	must(err)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
