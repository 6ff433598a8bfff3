/* SPDX-License-Identifier: ISC */
/*
 * qcow2 disks on the daemon's own engines and loop, in each cache mode: what is
 * written by many requests at once is there for QEMU.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/loop.h"
#include "devices/disk.h"
#include "devices/disk_tables.h"
#include "testhost.h"

#define SIZE		(16u << 20)
#define REQUESTS	600u
#define DEPTH		32u

struct slot {
	struct disk_req	 req;
	struct iovec	 iov[2];
	bool		 busy;
};

static struct loop		*loop;
static struct aio		*aio;
static struct disk_tables	*tables;
static struct disk		*disk;
static struct slot		 slots[DEPTH];
static uint8_t			*model;
static uint64_t			 seed = 7;
static char			 dir[64];
static bool			 inside;

static int
shell(const char *what)
{
	char command[512];
	int status;

	snprintf(command, sizeof(command), "cd %s && exec >log 2>&1 && %s",
	    dir, what);
	status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
slot_done(struct disk_req *req, int res)
{
	struct slot *s = (struct slot *)req;

	ck_assert(!inside);
	ck_assert_int_eq(res, 0);
	s->busy = false;
	loop_break(loop);
}

static void
submit(struct slot *s)
{
	inside = true;
	s->req.done = slot_done;
	s->busy = true;
	disk_submit(disk, &s->req);
	inside = false;
}

static void
wait_all(void)
{
	unsigned i;

	for (i = 0; i < DEPTH; i++)
		while (slots[i].busy)
			loop_run(loop);
}

/* Each request has its own stretch, so that none is over another. */
static void
change(struct slot *s, unsigned number)
{
	uint64_t stretch = SIZE / REQUESTS / 512 * 512;
	uint64_t off = number * stretch + test_random(&seed) % 8 * 512;
	size_t len = (1 + test_random(&seed) % 40) * 512, i;

	memset(s, 0, sizeof(*s));
	if (len > stretch - 8 * 512)
		len = stretch - 8 * 512;
	s->req.offset = off;
	s->req.len = len;
	s->req.op = number % 5 == 3 ? DISK_ZERO : DISK_WRITE;
	s->req.unmap = number % 2 == 0;
	if (s->req.op == DISK_WRITE) {
		for (i = 0; i < len; i++)
			model[off + i] = (uint8_t)test_random(&seed);
		s->iov[0] = (struct iovec){ model + off, len / 3 };
		s->iov[1] = (struct iovec){ model + off + len / 3,
		    len - len / 3 };
		s->req.iov = s->iov;
		s->req.niov = 2;
	} else {
		memset(model + off, 0, len);
	}
	submit(s);
}

static void
alone(enum disk_op op)
{
	memset(&slots[0], 0, sizeof(slots[0]));
	slots[0].req.op = op;
	submit(&slots[0]);
	wait_all();
}

static void
check_file(void)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/model", dir);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	ck_assert_int_eq(write(fd, model, SIZE), (ssize_t)SIZE);
	close(fd);
	ck_assert_int_eq(shell("qemu-img check disk"), 0);
	ck_assert_int_eq(shell("qemu-img compare -F raw disk model"), 0);
}

static void
setup(const char *engine)
{
	/* What is past the host's cache needs a file system on a disk. */
	snprintf(dir, sizeof(dir), "/var/tmp/check_qcow2.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	loop = loop_create();
	aio = aio_create(loop, engine);
	ck_assert_ptr_nonnull(aio);
	tables = disk_tables_create(16384);
	model = calloc(1, SIZE);
}

static void
teardown(void)
{
	free(model);
	disk_tables_destroy(tables);
	aio_destroy(aio);
	loop_destroy(loop);
	ck_assert_int_eq(shell("rm -rf $PWD"), 0);
}

START_TEST(cache_modes)
{
	static const char *const create[] = {
		"qemu-img create -f qcow2 -o cluster_size=65536 disk 16M",
		"qemu-img create -f qcow2 -o cluster_size=512 disk 16M",
		"qemu-img create -f qcow2 -o extended_l2=on,cluster_size=16k "
		    "disk 16M",
	};
	struct disk_how how = { .cache = (enum disk_cache)(_i % 3) };
	char path[128], err[256];
	unsigned i;

	setup(_i / 9 == 0 ? "io_uring" : "threads");
	ck_assert_int_eq(shell(create[_i / 3 % 3]), 0);
	snprintf(path, sizeof(path), "%s/disk", dir);
	disk = disk_open(NULL, path, &how, err, sizeof(err));
	ck_assert_msg(disk != NULL, "%s", err);
	ck_assert_int_eq(disk_info(disk)->writethrough,
	    how.cache == DISK_WRITETHROUGH);
	disk_attach(disk, aio, tables);
	for (i = 0; i < REQUESTS; i++) {
		while (slots[i % DEPTH].busy)
			loop_run(loop);
		change(&slots[i % DEPTH], i);
	}
	wait_all();
	alone(DISK_FLUSH);
	alone(DISK_DETACH);
	disk_close(disk);
	check_file();
	teardown();
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("qcow2_ring");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, cache_modes, 0, 18);
	return test_main("qcow2_ring", tc);
}
