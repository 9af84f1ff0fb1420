package tracee

import (
	"errors"
	"fmt"

	"lxc-checkpoint/internal/sys"

	"golang.org/x/sys/unix"
)

// SeccompFilter is one of a thread's seccomp filters.
type SeccompFilter struct {
	Instructions []byte // struct sock_filter each
	Log          bool   // SECCOMP_FILTER_FLAG_LOG
}

const (
	sizeofInstruction = 8
	maxInstructions   = 4096 // BPF_MAXINSNS
	seccompFlagLog    = 2    // SECCOMP_FILTER_FLAG_LOG
)

// SeccompFilters are the stopped thread's filters, the one that was loaded
// first comes first. The kernel shows them to who has CAP_SYS_ADMIN and is in
// no seccomp mode itself (EACCES), if it has CONFIG_CHECKPOINT_RESTORE.
//
// Its other flags are none of a filter: TSYNC and SPEC_ALLOW say what loading
// it does besides.
func (t *Thread) SeccompFilters() ([]SeccompFilter, error) {
	var all []SeccompFilter
	b := make([]byte, maxInstructions*sizeofInstruction)
	for i := 0; ; i++ {
		n, err := sys.PtraceSeccompFilter(t.tid, i, b)
		// EINVAL: it is in no mode with filters.
		if errors.Is(err, unix.ENOENT) || i == 0 && errors.Is(err, unix.EINVAL) {
			return all, nil
		}
		if err != nil {
			return nil, t.wrap(fmt.Sprintf("read seccomp filter %d of", i), err)
		}
		m := sys.SeccompMetadata{FilterOff: uint64(i)}
		if err := sys.PtraceSeccompMetadata(t.tid, &m); err != nil {
			return nil, t.wrap(fmt.Sprintf("read the flags of seccomp filter %d of", i), err)
		}
		all = append(all, SeccompFilter{
			Instructions: append([]byte(nil), b[:n*sizeofInstruction]...),
			Log:          m.Flags&seccompFlagLog != 0,
		})
	}
}
