/* SPDX-License-Identifier: ISC */
/*
 * `vmmctl image convert`: see image.h.
 */
#include <errno.h>
#include <unistd.h>

#include "vmm/image.h"
#include "vmm/image_copy.h"
#include "vmm/image_new.h"

struct convert_args {
	const char	*from, *to;
	enum disk_kind	 from_kind, to_kind;
	char		*options;
};

/* False, and the error is kept. */
static bool
parse_args(struct image_call *c, struct convert_args *a)
{
	int ch;

	while ((ch = image_next(c, "f:O:o:", NULL)) != -1) {
		if (ch == 'f')
			(void)image_parse_kind(c, optarg, &a->from_kind);
		else if (ch == 'O')
			(void)image_parse_kind(c, optarg, &a->to_kind);
		else
			a->options = optarg;
	}
	if (!image_words(c, 2))
		return false;
	a->from = c->argv[optind];
	a->to = c->argv[optind + 1];
	return image_kind_by_name(c, a->to, "-O", &a->to_kind);
}

/* Copies between two disks that are open; both are closed. */
static void
copy(struct image_call *c, const struct convert_args *a,
    struct image_work *w, struct disk *from, struct disk *to,
    const struct disk_make *m)
{
	bool full = m->prealloc == DISK_PREALLOC_FULL;
	struct image_copy copy = {
		.work = w,
		.from = from,
		.to = to,
		.size = disk_info(from)->size,
		.grain = m->kind == DISK_QCOW2 ? m->cluster : 1,
		.blank = true,
	};
	int error = 0;

	disk_attach(from, w->aio, w->tables);
	disk_attach(to, w->aio, w->tables);
	w->total = full ? 2 * copy.size : copy.size;
	if (full)
		error = image_fill(w, to);
	copy.writing = error != 0;
	if (error == 0)
		error = image_copy(&copy);
	if (error != 0)
		image_fail(c, copy.writing ? a->to : a->from, error);
	(void)image_work_close(w, from, false);
	error = image_work_close(w, to, false);
	if (error != 0)
		image_fail(c, a->to, error);
}

static void
convert_to(struct image_call *c, const struct convert_args *a,
    struct image_work *w, struct disk *from, const char *temp,
    const struct disk_make *m)
{
	struct disk_how how = { .kind = a->to_kind, .cache = DISK_UNSAFE };
	struct disk *to = image_open(c, temp, &how);

	if (to == NULL)
		disk_close(from);
	else
		copy(c, a, w, from, to, m);
}

/* Makes the file, has it filled, and gives it its name. */
static void
convert_from(struct image_call *c, const struct convert_args *a,
    struct image_work *w, struct disk *from, const struct disk_make *m)
{
	struct image_new n;
	int error;

	if (!image_begin(c, w, &n, a->to, m)) {
		disk_close(from);
		return;
	}
	convert_to(c, a, w, from, n.temp, m);
	if (image_work_ends(w))
		image_fail(c, a->to, -EINTR);
	error = image_new_end(&n, image_failed(c) ? -ECANCELED : 0, false);
	if (error != 0)
		image_fail(c, a->to, error);
}

static bool
parse_make(struct image_call *c, const struct convert_args *a,
    const struct disk *from, struct disk_make *m)
{
	disk_make_init(m, a->to_kind, disk_info(from)->size);
	if (a->options != NULL && !image_parse_options(c, a->options, m))
		return false;
	return image_check_make(c, a->to, m);
}

void
image_convert(struct image_call *c)
{
	struct disk_how how = { .readonly = true };
	struct convert_args a = { 0 };
	struct image_work w;
	struct disk_make m;
	struct disk *from;
	int error;

	if (!parse_args(c, &a))
		return;
	how.kind = a.from_kind;
	from = image_open(c, a.from, &how);
	if (from == NULL)
		return;
	if (!image_has_bytes(c, a.from, from) ||
	    !parse_make(c, &a, from, &m)) {
		disk_close(from);
		return;
	}
	error = image_work_begin(&w, !c->json);
	if (error != 0) {
		image_fail(c, a.from, error);
		disk_close(from);
		return;
	}
	convert_from(c, &a, &w, from, &m);
	image_work_end(&w);
}
