/* SPDX-License-Identifier: ISC */
/*
 * What a guest does to its first disk while the disk path is measured.
 *
 * Reads lines from the console, "OP ORDER BYTES DEPTH COUNT": COUNT reads or
 * writes of BYTES each past the guest's page cache, DEPTH of them at a time,
 * at random or in sequence; and says "bench done" after each.  As many
 * as complete at once are followed by as many at once.  COUNT may be 0.
 */
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <err.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DISK		"/dev/vda"
#define DEPTH_MAX	64
#define BUFFERS		(32u << 20)
#define PAGE		4096

struct work {
	bool		 write;
	bool		 random;
	size_t		 bytes;
	unsigned	 depth;
	unsigned	 count;
};

static int fd;
static uint64_t size;		/* of the disk */
static uint8_t *buffers;	/* in pages: an element each, as of its cache */
static aio_context_t context;
static uint64_t place;		/* the next one's number, or the seed */

/* Numerical Recipes' generator: the same places in every run. */
static uint64_t
next_offset(const struct work *w)
{
	uint64_t places = size / w->bytes;

	if (!w->random)
		return (place++ % places * w->bytes);
	place = place * 6364136223846793005u + 1442695040888963407u;
	return ((place >> 33) % places * w->bytes);
}

static void
prepare(struct iocb *cb, const struct work *w, unsigned slot)
{
	memset(cb, 0, sizeof(*cb));
	cb->aio_fildes = (uint32_t)fd;
	cb->aio_lio_opcode = w->write ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD;
	cb->aio_buf = (uintptr_t)(buffers + slot * w->bytes);
	cb->aio_nbytes = w->bytes;
	cb->aio_offset = (int64_t)next_offset(w);
	cb->aio_data = slot;
}

static void
submit(struct iocb **list, unsigned n)
{
	long done;

	while (n != 0) {
		done = syscall(SYS_io_submit, context, (long)n, list);
		if (done <= 0)
			err(1, "io_submit");
		list += done;
		n -= (unsigned)done;
	}
}

static void
run(const struct work *w)
{
	struct iocb cb[DEPTH_MAX], *list[DEPTH_MAX];
	struct io_event event[DEPTH_MAX];
	unsigned submitted, done = 0, n;
	long i, got;

	for (n = 0; n < w->depth && n < w->count; n++) {
		prepare(&cb[n], w, n);
		list[n] = &cb[n];
	}
	submit(list, n);
	submitted = n;
	while (done < w->count) {
		got = syscall(SYS_io_getevents, context, 1L, (long)w->depth,
		    event, NULL);
		if (got <= 0)
			err(1, "io_getevents");
		for (i = 0, n = 0; i < got; i++) {
			if (event[i].res != (int64_t)w->bytes)
				errx(1, "result %lld", (long long)event[i].res);
			done++;
			if (submitted == w->count)
				continue;
			submitted++;
			prepare(&cb[event[i].data], w,
			    (unsigned)event[i].data);
			list[n++] = &cb[event[i].data];
		}
		submit(list, n);
	}
}

static void
parse(const char *line, struct work *w)
{
	char op[8], order[16];

	if (sscanf(line, "%7s %15s %zu %u %u", op, order, &w->bytes, &w->depth,
	    &w->count) != 5 || w->depth == 0 || w->depth > DEPTH_MAX ||
	    w->bytes == 0 || w->bytes > size ||
	    w->bytes * w->depth > BUFFERS)
		errx(1, "what is '%s'?", line);
	w->write = strcmp(op, "write") == 0;
	w->random = strcmp(order, "random") == 0;
}

int
main(void)
{
	struct work w;
	char line[128];

	fd = open(DISK, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (fd == -1 || ioctl(fd, BLKGETSIZE64, &size) == -1)
		err(1, DISK);
	buffers = aligned_alloc(PAGE, BUFFERS);
	if (buffers == NULL || madvise(buffers, BUFFERS, MADV_NOHUGEPAGE) == -1)
		err(1, "buffers");
	memset(buffers, 0x5a, BUFFERS);
	if (syscall(SYS_io_setup, (long)DEPTH_MAX, &context) == -1)
		err(1, "io_setup");
	puts("bench ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin) != NULL) {
		parse(line, &w);
		place = 0;
		run(&w);
		puts("bench done");
		fflush(stdout);
	}
	return (0);
}
