/* SPDX-License-Identifier: ISC */
/*
 * The service manager's socket: what arrives there, under a path and under a
 * name without one, and that none is no error.
 */
#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "testhost.h"
#include "vmm/notify.h"

static char path[64];

/* Listens at $NOTIFY_SOCKET. */
static int
manager(const char *name)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	size_t n = strlen(name);

	memcpy(addr.sun_path, name, n);
	if (*name == '@')
		addr.sun_path[0] = '\0';
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr,
	    offsetof(struct sockaddr_un, sun_path) + n), 0);
	setenv("NOTIFY_SOCKET", name, 1);
	return fd;
}

static const char *
heard(int fd)
{
	static char text[256];
	ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

	ck_assert_int_ge(n, 0);
	text[n] = '\0';
	return text;
}

static void
setup(void)
{
	snprintf(path, sizeof(path), "/tmp/check_notify.%d", (int)getpid());
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

static void
teardown(void)
{
	unlink(path);
}

START_TEST(to_a_path)
{
	int fd = manager(path);

	ck_assert_int_eq(notify_send("READY=1"), 0);
	ck_assert_str_eq(heard(fd), "READY=1");
	close(fd);
	ck_assert_int_eq(notify_send("READY=1"), -ECONNREFUSED);
}
END_TEST

START_TEST(to_a_name)
{
	char name[64];
	int fd;

	snprintf(name, sizeof(name), "@check_notify.%d", (int)getpid());
	fd = manager(name);
	ck_assert_int_eq(notify_send("STOPPING=1"), 0);
	ck_assert_str_eq(heard(fd), "STOPPING=1");
	close(fd);
}
END_TEST

/* The time is that of the monotonic clock, when the reload began. */
START_TEST(reloading)
{
	int fd = manager(path);
	unsigned long long usec;
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	ck_assert_int_eq(notify_reloading(), 0);
	ck_assert_int_eq(sscanf(heard(fd), "RELOADING=1\nMONOTONIC_USEC=%llu",
	    &usec), 1);
	ck_assert_uint_ge(usec, ts.tv_sec * 1000000ull + ts.tv_nsec / 1000);
	ck_assert_uint_le(usec, (ts.tv_sec + 60) * 1000000ull);
	close(fd);
}
END_TEST

START_TEST(nobody_listens)
{
	char longer[256];

	ck_assert_int_eq(notify_send("READY=1"), 0);
	setenv("NOTIFY_SOCKET", "relative", 1);
	ck_assert_int_eq(notify_send("READY=1"), -EINVAL);
	memset(longer, 'x', sizeof(longer) - 1);
	longer[0] = '/';
	longer[sizeof(longer) - 1] = '\0';
	setenv("NOTIFY_SOCKET", longer, 1);
	ck_assert_int_eq(notify_send("READY=1"), -EINVAL);
	setenv("NOTIFY_SOCKET", "/nonexistent", 1);
	ck_assert_int_eq(notify_send("READY=1"), -ENOENT);
}
END_TEST

START_TEST(watchdog)
{
	char pid[32];

	ck_assert_double_eq(notify_watchdog(), 0);
	setenv("WATCHDOG_USEC", "30000000", 1);
	ck_assert_double_eq(notify_watchdog(), 30);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("WATCHDOG_PID", pid, 1);
	ck_assert_double_eq(notify_watchdog(), 30);
	setenv("WATCHDOG_PID", "1", 1);
	ck_assert_double_eq(notify_watchdog(), 0);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("notify");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, to_a_path);
	tcase_add_test(tc, to_a_name);
	tcase_add_test(tc, reloading);
	tcase_add_test(tc, nobody_listens);
	tcase_add_test(tc, watchdog);
	return test_main("notify", tc);
}
