package elfcore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	"lxc-checkpoint/image/format"
)

var le = binary.LittleEndian

// Note types (include/uapi/linux/elf.h).
const (
	ntPrstatus = 1
	ntFpregset = 2
	ntPrpsinfo = 3
	ntAuxv     = 6
	ntFile     = 0x46494c45
	ntXstate   = 0x202
)

// notes are the contents of PT_NOTE, in the order in which the kernel writes
// them: the first thread's state, the process's, then the other threads'
// (fs/binfmt_elf.c, write_note_info).
func notes(s *format.Skeleton, p *format.Process) []byte {
	var b bytes.Buffer
	mm := s.Mm(p.Mm)
	alive := p.Tasks
	if alive[0].Ended {
		alive = alive[1:]
	}
	for i, t := range alive {
		note(&b, "CORE", ntPrstatus, prstatus(p, t))
		if i == 0 {
			note(&b, "CORE", ntPrpsinfo, prpsinfo(p, t))
			note(&b, "CORE", ntAuxv, mm.Auxv)
			note(&b, "CORE", ntFile, files(mm, uint64(s.Header.PageSize)))
		}
		for _, r := range t.Registers {
			switch r.NoteType {
			case ntPrstatus:
			case ntFpregset: // arm64's own
				note(&b, "CORE", ntFpregset, r.Data)
			case ntXstate: // begins with what fxsave writes, struct user_i387_struct
				const fxsave = 512
				if len(r.Data) >= fxsave {
					note(&b, "CORE", ntFpregset, r.Data[:fxsave])
				}
				note(&b, "LINUX", r.NoteType, r.Data)
			default:
				note(&b, "LINUX", r.NoteType, r.Data)
			}
		}
	}
	return b.Bytes()
}

// note appends an Elf64_Nhdr, name and data, each padded to 4 bytes.
func note(b *bytes.Buffer, name string, kind uint32, data []byte) {
	var head [12]byte
	le.PutUint32(head[:], uint32(len(name)+1))
	le.PutUint32(head[4:], uint32(len(data)))
	le.PutUint32(head[8:], kind)
	b.Write(head[:])
	pad := func(n int) { b.Write(make([]byte, -n&3)) }
	b.WriteString(name + "\x00")
	pad(len(name) + 1)
	b.Write(data)
	pad(len(data))
}

// prstatus is struct elf_prstatus (include/linux/elfcore.h).
func prstatus(p *format.Process, t *format.Task) []byte {
	const registers = 112 // where pr_reg lies, on all 64-bit architectures
	var general []byte
	hasFP := uint32(0)
	for _, r := range t.Registers {
		if r.NoteType == ntPrstatus {
			general = r.Data
		} else {
			hasFP = 1
		}
	}
	b := make([]byte, registers+len(general)+8)
	le.PutUint64(b[24:], t.SignalMask)
	for i, v := range []uint32{t.Tid, p.Parent, p.Group, p.Session} {
		le.PutUint32(b[32+4*i:], v)
	}
	copy(b[registers:], general)
	le.PutUint32(b[registers+len(general):], hasFP)
	return b
}

// prpsinfo is struct elf_prpsinfo.
func prpsinfo(p *format.Process, t *format.Task) []byte {
	b := make([]byte, 136)
	b[1] = 'S'
	if p.State == format.ProcessState_STOPPED {
		b[0], b[1] = 3, 'T'
	}
	b[3] = byte(t.Scheduling.GetNice())
	le.PutUint32(b[16:], t.Credentials.GetUid())
	le.PutUint32(b[20:], t.Credentials.GetGid())
	for i, v := range []uint32{p.Pid, p.Parent, p.Group, p.Session} {
		le.PutUint32(b[24+4*i:], v)
	}
	copy(b[40:55], t.Name)
	copy(b[56:135], p.CommandLine)
	return b
}

// files is NT_FILE: which file lies where (fs/binfmt_elf.c, fill_files_note).
func files(mm *format.Mm, page uint64) []byte {
	var table []byte
	var names strings.Builder
	count := uint64(0)
	for _, v := range mm.Vmas {
		if v.File == nil {
			continue
		}
		count++
		for _, n := range []uint64{v.Start, v.End, v.Offset / page} {
			table = le.AppendUint64(table, n)
		}
		fmt.Fprintf(&names, "%s\x00", v.File.Path)
	}
	b := le.AppendUint64(nil, count)
	b = le.AppendUint64(b, page)
	return append(append(b, table...), names.String()...)
}
