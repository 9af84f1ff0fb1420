package tasks

import (
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"
)

// Names of the xsave state components (Intel SDM volume 1, 13.1).
var xsaveComponents = map[int]string{
	0: "x87", 1: "SSE", 2: "AVX", 3: "MPX bounds registers", 4: "MPX bounds configuration",
	5: "AVX-512 masks", 6: "AVX-512 upper halves", 7: "AVX-512 upper registers",
	9: "protection keys (PKRU)", 17: "AMX tile configuration", 18: "AMX tile data", 19: "APX registers",
}

func componentName(i int) string {
	if n, ok := xsaveComponents[i]; ok {
		return n
	}
	return fmt.Sprintf("component %d", i)
}

// lostRegisters names the register components that this CPU has not.
func lostRegisters(h *format.Header) ([]string, error) {
	have, err := sys.XsaveMask()
	if err != nil {
		return nil, fmt.Errorf("ask this CPU for its xsave features: %w", err)
	}
	var names []string
	for i := range 64 {
		if (h.XsaveMask&^have)&(1<<i) != 0 {
			names = append(names, componentName(i))
		}
	}
	return names, nil
}

// What every xsave area begins with, in bytes: the legacy area of x87 and SSE,
// then the header, whose first 8 bytes are the mask of components that are not
// in their initial state.
const (
	legacyArea  = 512
	xsaveHeader = 64
)

// convert moves the components of an xsave area to where this CPU has them:
// models differ in that (AMD's have AVX-512 and PKRU elsewhere than Intel's),
// and in how many there are.
func convert(h *format.Header, s *format.RegisterSet) ([]byte, error) {
	if s.NoteType != unix.NT_X86_XSTATE || len(h.XsaveComponents) == 0 {
		return s.Data, nil
	}
	size, err := sys.XsaveSize()
	if err != nil {
		return nil, err
	}
	components, err := sys.XsaveComponents()
	if err != nil {
		return nil, err
	}
	return rearrange(s.Data, h.XsaveComponents, components, size)
}

func rearrange(from []byte, theirs []*format.XsaveComponent, ours []sys.XsaveComponent, size uint32) ([]byte, error) {
	if len(from) < legacyArea+xsaveHeader || size < legacyArea+xsaveHeader {
		return nil, fmt.Errorf("its extended registers have %d bytes, fewer than on any CPU", len(from))
	}
	to := make([]byte, size)
	copy(to, from[:legacyArea+xsaveHeader])
	const legacy = 3 // x87, SSE
	left := le.Uint64(from[legacyArea:]) &^ legacy
	for _, t := range theirs {
		if left&(1<<t.Number) == 0 {
			continue // in its initial state
		}
		for _, o := range ours {
			if o.Number != t.Number {
				continue
			}
			if o.Size != t.Size || uint64(t.Offset)+uint64(t.Size) > uint64(len(from)) || uint64(o.Offset)+uint64(o.Size) > uint64(size) {
				return nil, fmt.Errorf("its %s registers have %d bytes, and %d on this CPU", componentName(int(t.Number)), t.Size, o.Size)
			}
			copy(to[o.Offset:o.Offset+o.Size], from[t.Offset:])
			left &^= 1 << t.Number
		}
	}
	for i := range 64 {
		if left&(1<<i) != 0 {
			return nil, fmt.Errorf("it uses %s, which this CPU lacks: restart it on a CPU that has it", componentName(i))
		}
	}
	return to, nil
}
