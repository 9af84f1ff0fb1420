// refused: process 2 \(sysv_memory\), .*(SysV|System V)
#include "../target.h"
#include <sys/shm.h>

static void target(void)
{
	int id = shmget(1234, PAGE, IPC_CREAT | 0600);
	char *p = shmat(id, NULL, 0);
	must(id >= 0 && p != (void *)-1);
	strcpy(p, "data");
	ready();
	check(strcmp(p, "data") == 0, "data differ");
}
