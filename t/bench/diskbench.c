/* SPDX-License-Identifier: ISC */
/*
 * Our disks, as QEMU's tools use its: the same requests of a process that opens
 * an image, makes them, flushes and ends.
 *
 * usage: diskbench [-w] [-c COUNT] [-d DEPTH] [-i ENGINE] [-s SIZE] [-S STEP]
 *            [-t none|writeback|writethrough] FILE
 *        diskbench -l [-i ENGINE] [-t CACHE] FILE
 *
 * As `qemu-img bench`: COUNT requests of SIZE bytes, DEPTH at a time, each STEP
 * bytes behind the one before, from the end on to the begin again, and, as that
 * has it, all on the same memory.  They read; with -w they write.
 *
 * As `qemu-io`: the standard input has a list of its commands, "aio_read -q
 * OFFSET LENGTH", "aio_write -q [-z] OFFSET LENGTH", and "aio_flush", which
 * waits until all are over.
 */
#include <err.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/loop.h"
#include "devices/disk.h"
#include "devices/disk_tables.h"

#define ALIGN		4096
#define LISTED_MAX	64		/* between two aio_flush */
#define LISTED_BYTES	(1u << 20)

struct slot {
	struct disk_req	 req;
	struct iovec	 iov;
	struct bench	*bench;
};

/* What is to be done next. */
struct work {
	enum disk_op	 op;
	uint64_t	 offset;
	size_t		 len;
};

struct bench {
	/* As told. */
	enum disk_op	 op;
	struct disk_how	 how;
	const char	*engine;
	bool		 listed;
	uint64_t	 count, step;
	size_t		 size;
	unsigned	 depth;

	struct loop	*loop;
	struct disk	*disk;
	uint8_t		*buf;
	struct slot	*slot;
	struct slot	**idle;
	unsigned	 nidle;
	uint64_t	 offset;
	bool		 waits;		/* until all are over */
	bool		 ended;		/* there are no more */
};

/* One line of the list; false if it is to wait, or there are no more. */
static bool
listed_next(struct bench *b, struct work *w)
{
	char line[128], verb[16];

	if (fgets(line, sizeof(line), stdin) == NULL) {
		b->ended = true;
		return false;
	}
	if (strcmp(line, "aio_flush\n") == 0) {
		b->waits = true;
		return false;
	}
	w->op = strstr(line, " -z ") != NULL ? DISK_ZERO : DISK_WRITE;
	if (sscanf(line, w->op == DISK_ZERO ?
	    "%15s -q -z %" SCNu64 " %zu" : "%15s -q %" SCNu64 " %zu", verb,
	    &w->offset, &w->len) != 3 || w->len > b->size)
		errx(2, "no command: %s", line);
	if (strcmp(verb, "aio_read") == 0)
		w->op = DISK_READ;
	return true;
}

static bool
counted_next(struct bench *b, struct work *w)
{
	if (b->count == 0) {
		b->ended = true;
		return false;
	}
	*w = (struct work){ b->op, b->offset, b->size };
	b->count--;
	b->offset = (b->offset + b->step) % disk_info(b->disk)->size;
	return true;
}

static void bench_go_on(struct bench *b);

static void
bench_done(struct disk_req *req, int res)
{
	struct slot *s = (struct slot *)req;
	struct bench *b = s->bench;

	if (res != 0)
		errx(1, "request: %s", strerror(-res));
	b->idle[b->nidle++] = s;
	bench_go_on(b);
}

static void
bench_submit(struct bench *b, const struct work *w)
{
	struct slot *s = b->idle[--b->nidle];
	bool moves = w->op == DISK_READ || w->op == DISK_WRITE;

	s->bench = b;
	s->iov = (struct iovec){ b->buf, w->len };
	s->req = (struct disk_req){
		.op = w->op,
		.offset = w->offset,
		.iov = moves ? &s->iov : NULL,
		.niov = moves ? 1 : 0,
		.len = w->len,
		.done = bench_done,
	};
	disk_submit(b->disk, &s->req);
}

/* As many requests as may be under way; at the end, leaves the loop. */
static void
bench_go_on(struct bench *b)
{
	struct work w;

	if (b->nidle == b->depth)
		b->waits = false;
	while (b->nidle != 0 && !b->waits && !b->ended)
		if (b->listed ? listed_next(b, &w) : counted_next(b, &w))
			bench_submit(b, &w);
		else if (b->nidle == b->depth)
			b->waits = false;
	if (b->ended && b->nidle == b->depth)
		loop_break(b->loop);
}

static void
bench_last(struct bench *b, enum disk_op op)
{
	struct work w = { .op = op };

	bench_submit(b, &w);
	loop_run(b->loop);
}

static void
bench_prepare(struct bench *b, const char *path)
{
	char error[512];
	unsigned i;

	b->disk = disk_open(NULL, path, &b->how, error, sizeof(error));
	if (b->disk == NULL)
		errx(1, "%s", error);
	if (b->size == 0 || b->size > disk_info(b->disk)->size ||
	    b->depth == 0)
		errx(2, "requests of no size, or larger than the disk");
	b->slot = calloc(b->depth, sizeof(*b->slot));
	b->idle = calloc(b->depth, sizeof(*b->idle));
	b->buf = aligned_alloc(ALIGN, (b->size + ALIGN - 1) / ALIGN * ALIGN);
	if (b->slot == NULL || b->idle == NULL || b->buf == NULL)
		err(1, NULL);
	memset(b->buf, 0x5a, b->size);
	for (i = 0; i < b->depth; i++)
		b->idle[b->nidle++] = &b->slot[i];
}

static void
bench_run(struct bench *b)
{
	struct disk_tables *tables = disk_tables_create(DISK_TABLES_BYTES);
	struct aio *aio;

	b->loop = loop_create();
	aio = b->loop != NULL ? aio_create(b->loop, b->engine) : NULL;
	if (aio == NULL || tables == NULL)
		err(1, "%s", b->engine);
	disk_attach(b->disk, aio, tables);
	bench_go_on(b);
	if (!b->ended || b->nidle != b->depth)
		loop_run(b->loop);
	if (!b->how.readonly)
		bench_last(b, DISK_FLUSH);
	bench_last(b, DISK_DETACH);
	disk_close(b->disk);
	disk_tables_destroy(tables);
	aio_destroy(aio);
	loop_destroy(b->loop);
	free(b->buf);
	free(b->idle);
	free(b->slot);
}

static enum disk_cache
cache_mode(const char *name)
{
	static const char *const mode[] = {
		[DISK_WRITEBACK] = "writeback",
		[DISK_WRITETHROUGH] = "writethrough",
		[DISK_NONE] = "none",
	};
	unsigned i;

	for (i = 0; i < sizeof(mode) / sizeof(mode[0]); i++)
		if (strcmp(name, mode[i]) == 0)
			return (enum disk_cache)i;
	errx(2, "no cache mode '%s'", name);
}

static uint64_t
number(const char *text)
{
	char *end;
	uint64_t n = strtoull(text, &end, 10);

	if (end == text || *end != '\0')
		errx(2, "no number: '%s'", text);
	return n;
}

static void
option(struct bench *b, int c)
{
	switch (c) {
	case 'c': b->count = number(optarg); break;
	case 'd': b->depth = (unsigned)number(optarg); break;
	case 'i': b->engine = optarg; break;
	case 'l': b->listed = true; break;
	case 's': b->size = number(optarg); break;
	case 'S': b->step = number(optarg); break;
	case 't': b->how.cache = cache_mode(optarg); break;
	case 'w': b->op = DISK_WRITE; break;
	default:
		errx(2, "usage: diskbench [-lw] [-c COUNT] [-d DEPTH] "
		    "[-i ENGINE] [-s SIZE] [-S STEP] [-t CACHE] FILE");
	}
}

int
main(int argc, char **argv)
{
	struct bench b = {
		.op = DISK_READ,
		.engine = "auto",
		.count = 75000,
		.size = 4096,
		.depth = 64,
	};
	int c;

	while ((c = getopt(argc, argv, "c:d:i:ls:S:t:w")) != -1)
		option(&b, c);
	if (optind + 1 != argc)
		option(&b, '?');
	if (b.step == 0)
		b.step = b.size;
	if (b.listed) {
		b.depth = LISTED_MAX;
		b.size = LISTED_BYTES;
	}
	b.how.readonly = b.op == DISK_READ && !b.listed;
	bench_prepare(&b, argv[optind]);
	bench_run(&b);
	return 0;
}
