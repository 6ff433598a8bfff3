/* SPDX-License-Identifier: ISC */
/*
 * `vmmctl image commit`: see image.h.  The image is opened alone, so that the
 * one behind it is nobody's while it is written.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/image.h"
#include "vmm/image_copy.h"
#include "vmm/image_resize.h"

struct commit {
	struct image_call *c;
	const char	*path;
	char		*behind;	/* where it is, from here */
	struct disk_how	 how;		/* of that */
	struct image_work w;
};

/* The image behind has at least as many bytes; false if it cannot. */
static bool
make_room(struct commit *k, uint64_t size)
{
	struct disk *d = image_open(k->c, k->behind, &k->how);
	bool ok = d != NULL;

	if (ok && disk_info(d)->size < size)
		ok = image_resize_disk(k->c, &k->w, k->behind, d, size);
	disk_close(d);
	return ok;
}

static void
copy(struct commit *k, struct disk *from, struct disk *to)
{
	struct image_copy copy = {
		.work = &k->w,
		.from = from,
		.to = to,
		.size = disk_info(from)->size,
		.own = true,
	};
	int error, closed;

	disk_attach(from, k->w.aio, k->w.tables);
	disk_attach(to, k->w.aio, k->w.tables);
	k->w.done = 0;
	k->w.total = copy.size;
	error = image_copy(&copy);
	(void)image_work_detach(&k->w, from);
	closed = image_work_close(&k->w, to, error == 0);
	if (error != 0)
		image_fail(k->c, copy.writing ? k->behind : k->path, error);
	else if (closed != 0)
		image_fail(k->c, k->behind, closed);
}

static void
commit(struct commit *k, struct disk *from)
{
	struct disk *to;
	int error;

	error = image_work_begin(&k->w, !k->c->json);
	if (error != 0) {
		image_fail(k->c, k->path, error);
		return;
	}
	if (make_room(k, disk_info(from)->size)) {
		to = image_open(k->c, k->behind, &k->how);
		if (to != NULL)
			copy(k, from, to);
	}
	image_work_end(&k->w);
}

/* What stands behind the image, and its format; false, and the error. */
static bool
find_behind(struct commit *k, const struct disk_about *about)
{
	const char *format = about->behind_format;

	if (about->behind[0] == '\0') {
		conn_fail(k->c->cn, "failed", "image: %s: no image is behind "
		    "it", k->path);
		return false;
	}
	if (strcmp(format, "file") == 0)
		format = "raw";
	if (format[0] != '\0' && !image_parse_kind(k->c, format, &k->how.kind))
		return false;
	k->behind = disk_path_beside(k->path, about->behind);
	return k->behind != NULL || image_fail(k->c, k->path, -ENOMEM);
}

void
image_commit(struct image_call *c)
{
	struct disk_about about = { 0 };
	struct disk_how how = {
		.readonly = true, .alone = true, .about = &about,
	};
	struct commit k = { .c = c, .how.say_raw = "" };
	struct disk *d;
	int ch;

	while ((ch = image_next(c, "f:", NULL)) != -1)
		(void)image_parse_kind(c, optarg, &how.kind);
	if (!image_words(c, 1))
		return;
	k.path = c->argv[optind];
	d = image_open(c, k.path, &how);
	if (d != NULL && find_behind(&k, &about))
		commit(&k, d);
	disk_close(d);
	disk_about_clear(&about);
	free(k.behind);
}
