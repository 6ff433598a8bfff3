/* SPDX-License-Identifier: ISC */
/*
 * Locks on images, against the real qemu-img and qemu-io: who writes is alone,
 * readers share, and either side refuses the other, whoever comes first.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "devices/disk_lock.h"
#include "testhost.h"

static char path[] = "/tmp/check_disk_lock.XXXXXX";

static void
setup(void)
{
	int fd;

	strcpy(strrchr(path, '.') + 1, "XXXXXX");
	fd = mkstemp(path);
	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(ftruncate(fd, 1 << 20), 0);
	close(fd);
}

static void
teardown(void)
{
	unlink(path);
}

/* Locks the image by another descriptor: that, or -errno. */
static int
take(bool shared)
{
	int fd = open(path, shared ? O_RDONLY : O_RDWR), error;

	ck_assert_int_ne(fd, -1);
	error = disk_lock(fd, shared);
	if (error == 0)
		return fd;
	close(fd);
	return error;
}

/* The status of a command whose %s is the image. */
static int
run(const char *command)
{
	char text[512];
	int status, n;

	n = snprintf(text, sizeof(text), command, path);
	snprintf(text + n, sizeof(text) - (size_t)n, " >/dev/null 2>&1");
	status = system(text);
	ck_assert(WIFEXITED(status));
	/* Is there no such program? */
	ck_assert_int_ne(WEXITSTATUS(status), 127);
	return WEXITSTATUS(status);
}

static const char *const readers[] = {
	"qemu-img bench -f raw -c 1 %s",
	"qemu-io -r -f raw -c 'read 0 512' %s",
};
static const char *const writers[] = {
	"qemu-io -f raw -c 'write 0 512' %s",
	"qemu-img resize -f raw %s +512",
};

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))

START_TEST(a_writer_keeps_all_out)
{
	int fd = take(false);
	unsigned i;

	ck_assert_int_ge(fd, 0);
	for (i = 0; i < COUNT(readers); i++)
		ck_assert_msg(run(readers[i]) != 0, "%s", readers[i]);
	for (i = 0; i < COUNT(writers); i++)
		ck_assert_msg(run(writers[i]) != 0, "%s", writers[i]);
	ck_assert_int_eq(take(false), -EAGAIN);
	ck_assert_int_eq(take(true), -EAGAIN);
	close(fd);
	for (i = 0; i < COUNT(readers); i++)
		ck_assert_msg(run(readers[i]) == 0, "%s", readers[i]);
	for (i = 0; i < COUNT(writers); i++)
		ck_assert_msg(run(writers[i]) == 0, "%s", writers[i]);
	fd = take(false);
	ck_assert_int_ge(fd, 0);
	close(fd);
}
END_TEST

START_TEST(readers_keep_writers_out)
{
	int fd = take(true), other = take(true);
	unsigned i;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_ge(other, 0);
	for (i = 0; i < COUNT(readers); i++)
		ck_assert_msg(run(readers[i]) == 0, "%s", readers[i]);
	for (i = 0; i < COUNT(writers); i++)
		ck_assert_msg(run(writers[i]) != 0, "%s", writers[i]);
	ck_assert_int_eq(take(false), -EAGAIN);
	close(fd);
	ck_assert_int_eq(take(false), -EAGAIN);
	close(other);
	fd = take(false);
	ck_assert_int_ge(fd, 0);
	close(fd);
}
END_TEST

/* qemu-io with the image open, until its input ends. */
struct holder {
	pid_t	pid;
	int	in;
};

static void
hold(struct holder *h, const char *options)
{
	int in[2], out[2];
	char command[256], c = 0;

	ck_assert_int_eq(pipe(in), 0);
	ck_assert_int_eq(pipe(out), 0);
	snprintf(command, sizeof(command), "exec qemu-io -f raw %s %s", options,
	    path);
	h->pid = fork();
	ck_assert_int_ne(h->pid, -1);
	if (h->pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		close(in[1]);
		close(out[0]);
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	h->in = in[1];
	/* It answers when it has the image. */
	ck_assert_int_eq(write(h->in, "length\n", 7), 7);
	while (c != 'M')
		ck_assert_int_eq(read(out[0], &c, 1), 1);
	close(out[0]);
}

static void
let_go(struct holder *h)
{
	int status;

	close(h->in);
	ck_assert_int_eq(waitpid(h->pid, &status, 0), h->pid);
}

START_TEST(theirs_are_heeded)
{
	struct holder h;
	int fd;

	hold(&h, "");
	ck_assert_int_eq(take(false), -EAGAIN);
	ck_assert_int_eq(take(true), -EAGAIN);
	let_go(&h);
	hold(&h, "-r");
	ck_assert_int_eq(take(false), -EAGAIN);
	fd = take(true);
	ck_assert_int_ge(fd, 0);
	close(fd);
	let_go(&h);
	fd = take(false);
	ck_assert_int_ge(fd, 0);
	close(fd);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("disk_lock");

	signal(SIGPIPE, SIG_IGN);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_writer_keeps_all_out);
	tcase_add_test(tc, readers_keep_writers_out);
	tcase_add_test(tc, theirs_are_heeded);
	return test_main("disk_lock", tc);
}
