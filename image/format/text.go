package format

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// To Linux a name is bytes; to Protocol Buffers a string is UTF-8, and a
// message with another kind can't be written. So in an image every byte of a
// string that is not part of valid UTF-8 stands as the character U+EF00 plus
// that byte, of Unicode's private use area; and where one of these characters,
// U+EF80 to U+EFFF, itself is in a name, so does each of its bytes. Names cut
// off in the middle of a character (a task's has 15 bytes) are quite common.
const (
	escapeBase  = 0xEF00
	firstEscape = 0xEF80
	lastEscape  = 0xEFFF
)

// escapes are how UTF-8 of those characters begins.
var escapes = [][]byte{{0xEE, 0xBE}, {0xEE, 0xBF}}

func mayHaveEscape(b []byte) bool {
	return bytes.Contains(b, escapes[0]) || bytes.Contains(b, escapes[1])
}

// Marshal encodes a record. The same record gives the same bytes.
func Marshal(r *Record) ([]byte, error) {
	o := proto.MarshalOptions{Deterministic: true}
	b, err := o.Marshal(r)
	if err == nil && !mayHaveEscape(b) {
		return b, nil
	}
	r = proto.Clone(r).(*Record)
	eachString(r.ProtoReflect(), escape)
	return o.Marshal(r)
}

func escape(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && n == 1 || r >= firstEscape && r <= lastEscape {
			for i := range n {
				b.WriteRune(escapeBase + rune(s[i]))
			}
		} else {
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return b.String()
}

func unescape(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r >= firstEscape && r <= lastEscape {
			b.WriteByte(byte(r - escapeBase))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// eachString changes all strings of a message.
func eachString(m protoreflect.Message, change func(string) string) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Kind() == protoreflect.StringKind && f.IsList():
			for i := range v.List().Len() {
				v.List().Set(i, protoreflect.ValueOfString(change(v.List().Get(i).String())))
			}
		case f.Kind() == protoreflect.StringKind:
			m.Set(f, protoreflect.ValueOfString(change(v.String())))
		case f.Message() != nil && f.IsList():
			for i := range v.List().Len() {
				eachString(v.List().Get(i).Message(), change)
			}
		case f.Message() != nil:
			eachString(v.Message(), change)
		}
		return true
	})
}
