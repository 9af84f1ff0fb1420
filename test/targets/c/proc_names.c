// Host name and domain name of the container.
#include "target.h"
#include <sys/utsname.h>

static void target(void)
{
	struct utsname u;
	must(sethostname("a-container", 11) == 0 && setdomainname("example.test", 12) == 0);
	ready();
	must(uname(&u) == 0);
	check(strcmp(u.nodename, "a-container") == 0, "the host is called %s", u.nodename);
	check(strcmp(u.domainname, "example.test") == 0, "the domain is called %s", u.domainname);
}
