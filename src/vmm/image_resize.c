/* SPDX-License-Identifier: ISC */
/*
 * `vmmctl image resize`: see image.h.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "devices/disk_check.h"
#include "vmm/config_value.h"
#include "vmm/image.h"
#include "vmm/image_resize.h"

/* Made zero by one request. */
#define ZERO_MAX	(UINT64_C(1) << 30)

static int
zero(struct image_work *w, struct disk *d, uint64_t from, uint64_t to)
{
	struct disk_req req = { .op = DISK_ZERO, .unmap = true };
	int error = 0;

	w->total = to > from ? to - from : 0;
	for (; from < to && error == 0; from += req.len) {
		req.offset = from;
		req.len = to - from < ZERO_MAX ? to - from : ZERO_MAX;
		error = w->caught != 0 ? -EINTR : image_work_do(w, d, &req);
		w->done += req.len;
	}
	return error;
}

/* What is cut off or added reads zero, if it comes to be again. */
static int
zero_change(struct image_work *w, struct disk *d, uint64_t was, uint64_t size)
{
	int error, closed;

	disk_attach(d, w->aio, w->tables);
	if (size > was)
		error = zero(w, d, was, disk_resize_stale(d, was));
	else
		error = zero(w, d, size, was);
	closed = image_work_detach(w, d);
	return error != 0 ? error : closed;
}

bool
image_resize_disk(struct image_call *c, struct image_work *w,
    const char *path, struct disk *d, uint64_t size)
{
	uint64_t was = disk_info(d)->size;
	const char *why;
	int error = 0;

	why = disk_resize_begin(d, size);
	if (why == NULL && disk_kind(d) != DISK_RAW)
		error = zero_change(w, d, was, size);
	if (error != 0)
		return image_fail(c, path, error);
	if (why == NULL)
		why = disk_resize_end(d, size);
	if (why != NULL)
		conn_fail(c->cn, "failed", "image: %s: %s", path, why);
	return why == NULL;
}

/* "10G", "+1G", "-512M"; false, and the error is kept. */
static bool
parse_new_size(struct image_call *c, const char *path, const char *text,
    uint64_t was, uint64_t *size)
{
	bool more = *text == '+', less = *text == '-';
	char now[32];
	uint64_t v;

	if (!image_parse_size(c, path, text + (more || less), &v))
		return false;
	*size = more ? was + v : less ? was - v : v;
	if ((!more || *size > was) && (!less || v < was) && *size <= INT64_MAX)
		return true;
	value_format(now, sizeof(now), value_size_units, was);
	conn_fail(c->cn, "syntax", "image: %s: has %s, of which `%s' makes no "
	    "size", path, now, text);
	return false;
}

static void
resize(struct image_call *c, const char *path, struct disk *d,
    const char *text, bool shrink)
{
	uint64_t was = disk_info(d)->size, size;
	struct image_work w;
	int error;

	if (!parse_new_size(c, path, text, was, &size) || size == was)
		return;
	if (size < was && !shrink) {
		conn_fail(c->cn, "failed", "image: %s: what is behind the new "
		    "end would be lost, write --shrink if it may", path);
		return;
	}
	error = image_work_begin(&w, !c->json);
	if (error != 0) {
		image_fail(c, path, error);
		return;
	}
	(void)image_resize_disk(c, &w, path, d, size);
	image_work_end(&w);
}

void
image_resize(struct image_call *c)
{
	static const struct option longs[] = {
		IMAGE_LONG_HELP,
		{ "shrink", no_argument, NULL, 's' },
		{ NULL, 0, NULL, 0 },
	};
	struct disk_how how = { 0 };
	bool shrink = false;
	struct disk *d;
	int ch;

	while ((ch = image_next(c, "f:", longs)) != -1) {
		if (ch == 's')
			shrink = true;
		else
			(void)image_parse_kind(c, optarg, &how.kind);
	}
	if (!image_words(c, 2))
		return;
	d = image_open(c, c->argv[optind], &how);
	if (d != NULL)
		resize(c, c->argv[optind], d, c->argv[optind + 1], shrink);
	disk_close(d);
}
