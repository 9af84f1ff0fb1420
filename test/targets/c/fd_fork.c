// Open files shared with a child: the offset is one.
#include "target.h"

static int fd, asked[2], answer_[2];

static int run(void *argument)
{
	char c;
	close(asked[1]);
	for (;;) {
		if (read(asked[0], &c, 1) != 1)
			return argument != NULL;
		lseek(fd, 100, SEEK_CUR);
		if (write(answer_[1], &c, 1) != 1)
			return 2;
	}
}

static void target(void)
{
	char c;
	must((fd = open("file", O_RDWR | O_CREAT, 0644)) >= 0 && pipe(asked) == 0 && pipe(answer_) == 0);
	must(lseek(fd, 1000, SEEK_SET) == 1000);
	pid_t pid = child(run, NULL);
	must(close(asked[0]) == 0 && close(answer_[1]) == 0);
	ready();
	must(write(asked[1], "x", 1) == 1 && read(answer_[0], &c, 1) == 1);
	check(lseek(fd, 0, SEEK_CUR) == 1100, "the offset is %ld", lseek(fd, 0, SEEK_CUR));
	must(close(asked[1]) == 0);
	check(ended(pid) == 0, "the child did not see the pipe's end");
}
