package format

import (
	"errors"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// MaxObjects is how many messages and byte strings a skeleton may consist of:
// some twenty times as many as the largest container has, and few enough that a
// hostile statefile can't fill the memory of a host.
const MaxObjects = 8 << 20

// A Parser parses the records of one skeleton.
type Parser struct{ objects int }

// Parse parses a record. What it allocates is bounded: a message of 2 bytes
// can become one of 200, so they are counted first.
func (p *Parser) Parse(b []byte) (*Record, error) {
	if err := p.Admit(b); err != nil {
		return nil, err
	}
	r := &Record{}
	if err := proto.Unmarshal(b, r); err != nil {
		return nil, errors.New("it is no record")
	}
	if mayHaveEscape(b) {
		eachString(r.ProtoReflect(), unescape)
	}
	return r, nil
}

// Admit counts the objects of a record without parsing it. It returns an error
// if there are too many by now.
func (p *Parser) Admit(b []byte) error {
	return p.count(b, (*Record)(nil).ProtoReflect().Descriptor())
}

// count counts what a message consists of. It goes as deep as the messages of
// statefile.proto nest, none of which contains itself.
func (p *Parser) count(b []byte, d protoreflect.MessageDescriptor) error {
	fields := d.Fields()
	for len(b) > 0 {
		number, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return errors.New("it is no record")
		}
		b = b[n:]
		m := protowire.ConsumeFieldValue(number, typ, b)
		if m < 0 {
			return errors.New("it is no record")
		}
		if typ == protowire.BytesType {
			if p.objects++; p.objects > MaxObjects {
				return errors.New("it has more objects than any container")
			}
			if f := fields.ByNumber(number); f != nil && f.Message() != nil {
				inner, _ := protowire.ConsumeBytes(b)
				if err := p.count(inner, f.Message()); err != nil {
					return err
				}
			}
		}
		b = b[m:]
	}
	return nil
}
