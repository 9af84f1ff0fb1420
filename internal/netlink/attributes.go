package netlink

import (
	"encoding/binary"
	"errors"
)

// Attribute is one of a message (struct nlattr).
type Attribute struct {
	Type  uint16 // without flags
	Flags uint16 // Nested, NetByteOrder
	Value []byte
}

// Flags of an attribute's type.
const (
	Nested       = 1 << 15 // NLA_F_NESTED
	NetByteOrder = 1 << 14 // NLA_F_NET_BYTEORDER
)

var errMalformed = errors.New("attributes of netlink that are cut off")

// Parse reads attributes. What follows the last one makes it an error.
func Parse(b []byte) ([]Attribute, error) {
	var all []Attribute
	for len(b) > 0 {
		if len(b) < 4 {
			return nil, errMalformed
		}
		size, typ := int(binary.NativeEndian.Uint16(b)), binary.NativeEndian.Uint16(b[2:])
		if size < 4 || size > len(b) {
			return nil, errMalformed
		}
		all = append(all, Attribute{Type: typ &^ (Nested | NetByteOrder), Flags: typ & (Nested | NetByteOrder), Value: b[4:size]})
		b = b[min(len(b), (size+3)&^3):]
	}
	return all, nil
}

// Append writes an attribute behind others.
func Append(b []byte, a Attribute) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(4+len(a.Value)))
	b = binary.NativeEndian.AppendUint16(b, a.Type|a.Flags)
	return pad(append(b, a.Value...))
}

// Bytes, Uint32 and String make attributes.
func Bytes(typ uint16, v []byte) Attribute { return Attribute{Type: typ, Value: v} }

// Uint32 makes one of an integer of the CPU's byte order.
func Uint32(typ uint16, v uint32) Attribute {
	return Attribute{Type: typ, Value: binary.NativeEndian.AppendUint32(nil, v)}
}

// String makes one of a string, with its NUL byte.
func String(typ uint16, v string) Attribute { return Attribute{Type: typ, Value: append([]byte(v), 0)} }

// Nest makes one of others.
func Nest(typ uint16, of ...Attribute) Attribute {
	a := Attribute{Type: typ, Flags: Nested}
	for _, o := range of {
		a.Value = Append(a.Value, o)
	}
	return a
}

// Uint32 is an attribute's integer, 0 if it is too short for one.
func (a Attribute) Uint32() uint32 {
	if len(a.Value) < 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(a.Value)
}

// Text is an attribute's string.
func (a Attribute) Text() string {
	for i, c := range a.Value {
		if c == 0 {
			return string(a.Value[:i])
		}
	}
	return string(a.Value)
}

func pad(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}
