// Pseudo terminals with both ends here: number, modes, size, and what lies
// unread, in both directions, typed lines and a part of one.
#include "target.h"
#include "pty.h"

static void expect(int fd, const char *text)
{
	char b[200];
	struct pollfd p = {fd, POLLIN, 0};
	check(poll(&p, 1, 5000) == 1, "nothing to read, wanted \"%s\"", text);
	ssize_t n = read(fd, b, sizeof b);
	check(n == (ssize_t)strlen(text) && memcmp(b, text, n) == 0, "read %zd bytes \"%.*s\", wanted \"%s\"", n, (int)n, b, text);
}

static void target(void)
{
	int slave, raw, master = open_terminal(&slave), other = open_terminal(&raw), none = open_terminal(NULL);
	struct termios before, after, modes;
	memset(&before, 0, sizeof before); // and its padding
	memset(&after, 0, sizeof after);
	struct winsize size = {33, 77, 3, 4};
	char name[50], now[50];
	must(ptsname_r(master, name, sizeof name) == 0);
	must(tcgetattr(slave, &before) == 0);
	before.c_cc[VINTR] = 5;
	must(tcsetattr(slave, TCSANOW, &before) == 0 && ioctl(master, TIOCSWINSZ, &size) == 0);
	must(tcgetattr(raw, &modes) == 0);
	cfmakeraw(&modes);
	must(tcsetattr(raw, TCSANOW, &modes) == 0);
	int packet = 1;
	must(ioctl(other, TIOCPKT, &packet) == 0);

	must(write(slave, "out\n", 4) == 4);
	must(write(master, "one\ntwo\nthr", 11) == 11);
	must(write(other, "\x03\r\x7f", 3) == 3);
	must(write(raw, "screen", 6) == 6);
	must(tcgetattr(slave, &before) == 0);
	struct stat was, is;
	must(stat(name, &was) == 0);
	sleep_ms(20);
	ready();
	must(tcgetattr(slave, &after) == 0);
	check(memcmp(&before, &after, sizeof before) == 0, "the modes have changed");
	must(ptsname_r(master, now, sizeof now) == 0);
	check(strcmp(name, now) == 0, "%s has become %s", name, now);
	memset(&size, 0, sizeof size);
	must(ioctl(slave, TIOCGWINSZ, &size) == 0);
	check(size.ws_row == 33 && size.ws_col == 77 && size.ws_ypixel == 4, "the size is %d by %d", size.ws_row, size.ws_col);
	expect(master, "out\r\none\r\ntwo\r\nthr");
	expect(slave, "one\n");
	expect(slave, "two\n");
	must(write(master, "ee\n", 3) == 3);
	expect(slave, "three\n");
	expect(master, "ee\r\n");
	expect(raw, "\x03\r\x7f");
	char b[20];
	check(read(other, b, sizeof b) == 7 && b[0] == 0 && memcmp(b + 1, "screen", 6) == 0, "packet mode has ended");
	int fd = open(ptsname(none), O_RDWR | O_NOCTTY);
	check(fd >= 0 && write(fd, "x", 1) == 1, "a terminal without a slave: %s", strerror(errno));
	expect(none, "x");
	check(stat(name, &is) == 0 && is.st_mode == was.st_mode && is.st_gid == was.st_gid, "%s has mode %o", name, is.st_mode);
}
