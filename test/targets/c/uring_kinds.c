// Rings of other forms: large entries, no array, not enabled yet, with the two
// mappings of the oldest programs, and one that nothing maps.
// by eBPF only
#include "uring.h"

static void target(void)
{
	struct ring large = ring(4, IORING_SETUP_SQE128 | IORING_SETUP_CQE32);
	nops(&large, 9);
	struct ring disabled = ring(4, IORING_SETUP_R_DISABLED | IORING_SETUP_SINGLE_ISSUER);
	struct io_uring_params none = {0};
	int unmapped = syscall(SYS_io_uring_setup, 2, &none);
	must(unmapped >= 0);
	struct ring old = ring(8, 0);
	unsigned *cq = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, old.fd, IORING_OFF_CQ_RING);
	must(cq != MAP_FAILED);
	nops(&old, 5);
	ready();
	nops(&large, 9);
	check(*large.sq_head == 18 && *large.cq_tail == 18, "the large one is at %u and %u", *large.sq_head, *large.cq_tail);
	sqe(&disabled, IORING_OP_NOP, -1, 1);
	check(enter(&disabled, 1, 0) == -1 && errno == EBADFD, "the disabled one takes requests");
	must(syscall(SYS_io_uring_register, disabled.fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) == 0);
	submit(&disabled);
	expect(&disabled, 1, 0);
	check(syscall(SYS_io_uring_enter, unmapped, 0, 0, 0, NULL, 0) == 0, "the one without a mapping: %s", strerror(errno));
	nops(&old, 5);
	check(cq[old.p.cq_off.tail / 4] == 10, "by its second mapping the old one is at %u", cq[old.p.cq_off.tail / 4]);
}
