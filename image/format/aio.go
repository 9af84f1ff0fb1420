package format

import (
	"encoding/binary"
	"errors"
)

// AioRing is a struct aio_ring (fs/aio.c): it begins the memory that a context of
// io_setup(2) shares with the program, which may write what it likes there.
type AioRing struct {
	ID, Events, Head, Tail uint32
}

const (
	// AioHeader is its size, and AioEvent that of a struct io_event.
	AioHeader = 32
	AioEvent  = 32
	aioMagic  = 0xa10a10a1

	// maxAioContexts bounds the number of a context: a restart counts up to it.
	maxAioContexts = 4096
)

// ParseAioRing reads it; an error says that a program has written to it what no
// kernel would.
func ParseAioRing(b []byte) (r AioRing, err error) {
	if len(b) < AioHeader+AioEvent {
		return r, errors.New("it is too small")
	}
	word := func(i int) uint32 { return binary.LittleEndian.Uint32(b[4*i:]) }
	r = AioRing{word(0), word(1), word(2), word(3)}
	if word(4) != aioMagic || word(7) != AioHeader || uint64(r.Events) != uint64(len(b)-AioHeader)/AioEvent || r.Head >= r.Events || r.Tail >= r.Events {
		return r, errors.New("its head is not as the kernel has made it")
	}
	return r, nil
}

// check checks a context, whose ring has so many bytes.
func (a *AioContext) check(size uint64) error {
	if uint64(len(a.Ring)) != size {
		return errors.New("its ring of events has another size")
	}
	r, err := ParseAioRing(a.Ring)
	if err == nil && (r.ID != a.Id || a.Id >= maxAioContexts) {
		err = errors.New("its ring of events has an impossible number")
	}
	return err
}
