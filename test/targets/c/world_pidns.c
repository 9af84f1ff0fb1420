// A pid namespace in the container's: its first process, children, threads, a
// zombie, an orphan, groups and sessions with leaders inside and outside, who all
// have a number in either.
#include "target.h"
#include "userns.h"

static volatile int *asked;

static void wait_for(int n)
{
	while (*asked < n)
		sleep_ms(1);
}

// numbers are those that a process knows of itself.
static char *numbers(void)
{
	char *text;
	must(asprintf(&text, "pid %d tid %d parent %d group %d session %d", getpid(), gettid(), getppid(), getpgrp(), getsid(0)) > 0);
	return strcat(strcat(realloc(text, 4096), "\n"), lines_of("self", " NSpid NSpgid NSsid "));
}

// numbers of the outermost namespace, which is the host's, are others.
static void same_numbers(const char *before, const char *what)
{
	char *now = numbers(), a[4096] = "", b[4096] = "";
	for (int i = 0; i < 2; i++) {
		char *from = i ? now : (char *)before, *to = i ? b : a, *rest, *copy = strdup(from);
		for (char *line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
			char *outer = strchr(line, '\t'), *inner = outer ? strchr(outer + 1, '\t') : NULL;
			strcat(strcat(to, inner ? inner : line), "\n");
		}
	}
	check(strcmp(a, b) == 0, "%s: now %s, was %s", what, b, a);
}

static void stays(const char *what)
{
	char *before = numbers();
	__atomic_add_fetch(asked, 1, __ATOMIC_SEQ_CST);
	wait_for(100);
	same_numbers(before, what);
}

static void *run(void *argument)
{
	stays("a thread");
	return argument;
}

static int leader(void *argument)
{
	(void)argument;
	must(setsid() > 0);
	stays("the leader of a session");
	return 5;
}

static int grouped(void *argument)
{
	(void)argument;
	must(setpgid(0, 0) == 0);
	stays("the leader of a group");
	return 6;
}

static int orphan(void *argument)
{
	(void)argument;
	if (fork() == 0) {
		while (getppid() != 1)
			sleep_ms(1);
		stays("an orphan");
		_exit(0);
	}
	return 0;
}

static int gone(void *argument)
{
	(void)argument;
	return 7;
}

static int first(void)
{
	check(getpid() == 1, "the first process is %d", getpid());
	pid_t zombie = child(gone, NULL), session = child(leader, NULL), group = child(grouped, NULL), lost = child(orphan, NULL);
	check(ended(lost) == 0, "the orphan's parent");
	siginfo_t info;
	must(waitid(P_PID, zombie, &info, WEXITED | WNOWAIT) == 0);
	pthread_t t = thread(run, NULL);
	while (*asked < 4)
		sleep_ms(1);
	stays("the first process");
	must(pthread_join(t, NULL) == 0);
	check(ended(zombie) == 7 && ended(session) == 5 && ended(group) == 6, "a child has another end");
	// The number that comes next is the one that would have come.
	int highest = group > lost ? group : lost;
	pid_t next = child(gone, NULL);
	check(next > highest && next < highest + 10, "the next process is %d, after %d", next, highest);
	must(ended(next) == 7);
	check(wait(NULL) > 0, "it has not adopted the orphan");
	return 0;
}

static void target(void)
{
	asked = shared(PAGE);
	must(unshare(CLONE_NEWPID) == 0);
	pid_t pid = fork();
	must(pid >= 0);
	if (pid == 0)
		_exit(first());
	while (*asked < 5)
		sleep_ms(1);
	char *before = numbers();
	ready();
	same_numbers(before, "outside");
	*asked = 100;
	int code = ended(pid);
	check(code == 0, "the first process ends with %d", code);
	// Its own children still are to be in there, where nobody can be any more.
	check(fork() == -1 && errno == ENOMEM, "it can still make processes: %s", strerror(errno));
}
