package format

import "fmt"

const (
	seccompModeFilter = 2 // SECCOMP_MODE_FILTER
	sizeofInstruction = 8 // sizeof(struct sock_filter)
	// Limits of the kernel (BPF_MAXINSNS; MAX_INSNS_PER_PATH, kernel/seccomp.c:
	// each filter of a task counts four more than it has).
	maxInstructions = 4096
	maxChain        = (1 << 18) / sizeofInstruction
	perFilter       = 4
)

// seccomp checks the filters. Each one's previous lies before it, so there is
// no ring, and every task's come to an end.
func (c *checker) seccomp() error {
	total := map[uint32]int{0: 0} // instructions of each filter and all before it
	for _, f := range c.SeccompFilters {
		n := len(f.Instructions)
		if n == 0 || n%sizeofInstruction != 0 || n > maxInstructions*sizeofInstruction {
			return fmt.Errorf("seccomp filter %d is of %d bytes", f.Id, n)
		}
		before, ok := total[f.Previous]
		if !ok {
			return fmt.Errorf("seccomp filter %d comes before the one that it follows, %d", f.Id, f.Previous)
		}
		if total[f.Id] = before + n/sizeofInstruction + perFilter; total[f.Id] > maxChain {
			return fmt.Errorf("seccomp filter %d and those before it have %d instructions, which no kernel takes", f.Id, total[f.Id])
		}
	}
	return nil
}
