package format

import (
	"encoding/binary"
	"fmt"
)

// MaxLDT is the most that a local descriptor table has, in bytes (LDT_ENTRIES,
// arch/x86/include/uapi/asm/ldt.h).
const MaxLDT = 8192 * 8

func (c *checker) descriptorTable(b []byte) error {
	if n := len(b); n > 0 && (c.Header.Architecture != "amd64" || n > MaxLDT || n%8 != 0) {
		return fmt.Errorf("a local descriptor table of %d bytes on %s", n, c.Header.Architecture)
	}
	return nil
}

// debugRegisters checks them. Who restarts may have the right to set some that watch
// the kernel: no program has such.
func (c *checker) debugRegisters(d *DebugRegisters, who func() string) error {
	arm := c.Header.Architecture == "arm64"
	if n := len(d.GetWords()); n != 0 && (n != 6 || arm) || !arm && len(d.GetBreakpoints())+len(d.GetWatchpoints()) > 0 {
		return fmt.Errorf("%s has %d debug registers on %s", who(), n, c.Header.Architecture)
	}
	var addresses []uint64
	if len(d.GetWords()) > 0 {
		addresses = d.Words[:4]
	}
	for _, b := range [][]byte{d.GetBreakpoints(), d.GetWatchpoints()} {
		const before, each, most = 8, 16, 16 // bytes of struct user_hwdebug_state, and how many it has
		if n := len(b); n > 0 && (n < before+each || n > before+most*each || (n-before)%each != 0) {
			return fmt.Errorf("%s has debug registers of %d bytes", who(), n)
		}
		for at := before; at < len(b); at += each {
			addresses = append(addresses, binary.LittleEndian.Uint64(b[at:]))
		}
	}
	for _, a := range addresses {
		if a >= 1<<55 {
			return fmt.Errorf("%s has a breakpoint at %#x, which is the kernel's", who(), a)
		}
	}
	return nil
}

// protectionKeys checks keys: of 16, the first is everybody's.
func (c *checker) protectionKeys(mm *Mm) error {
	keys := mm.ProtectionKeys
	for _, v := range mm.Vmas {
		if v.ProtectionKey >= 16 {
			return fmt.Errorf("the mapping at %#x has protection key %d", v.Start, v.ProtectionKey)
		}
		keys |= 1 << v.ProtectionKey &^ 1
	}
	if keys&^0xfffe != 0 || keys != 0 && c.Header.Architecture != "amd64" {
		return fmt.Errorf("protection keys %#x on %s", keys, c.Header.Architecture)
	}
	return nil
}
