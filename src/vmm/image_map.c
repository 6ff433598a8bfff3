/* SPDX-License-Identifier: ISC */
/*
 * `vmmctl image map`: see image.h.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/image.h"
#include "vmm/image_work.h"

struct part {
	uint64_t		 start;
	struct disk_extent	 x;
};

struct map {
	struct part	*part;
	size_t		 n, room;
};

/* Is `x`, from `start` on, more of the same? */
static bool
goes_on(const struct part *p, uint64_t start, const struct disk_extent *x)
{
	const struct disk_extent *a = &p->x;

	return p->start + a->len == start && a->depth == x->depth &&
	    a->present == x->present && a->zero == x->zero &&
	    a->data == x->data && a->packed == x->packed &&
	    (!a->data || a->packed || a->host + a->len == x->host);
}

static int
map_add(struct map *m, uint64_t start, const struct disk_extent *x)
{
	struct part *more;

	if (m->n != 0 && goes_on(&m->part[m->n - 1], start, x)) {
		m->part[m->n - 1].x.len += x->len;
		return 0;
	}
	if (m->n == m->room) {
		m->room = m->room != 0 ? m->room * 2 : 64;
		more = reallocarray(m->part, m->room, sizeof(*more));
		if (more == NULL)
			return -ENOMEM;
		m->part = more;
	}
	m->part[m->n++] = (struct part){ start, *x };
	return 0;
}

static int
map_fill(struct map *m, struct image_work *w, struct disk *d)
{
	uint64_t size = disk_info(d)->size, at;
	struct disk_extent x;
	int error = 0;

	disk_attach(d, w->aio, w->tables);
	for (at = 0; at < size && error == 0; at += x.len) {
		struct disk_req req = {
			.op = DISK_STATUS,
			.offset = at,
			.len = size - at,
			.extent = &x,
		};

		x = (struct disk_extent){ 0 };
		error = w->caught != 0 ? -EINTR : image_work_do(w, d, &req);
		if (error == 0)
			error = map_add(m, at, &x);
	}
	(void)image_work_detach(w, d);
	return error;
}

static const char *
bool_word(bool v)
{
	return v ? "true" : "false";
}

/* With the keys of qemu-img(1). */
static void
print_json(FILE *out, const struct map *m)
{
	const struct part *p;
	size_t i;

	fputs("{\"extent\": [", out);
	for (i = 0; i < m->n; i++) {
		p = &m->part[i];
		fprintf(out, "%s{\"start\": %" PRIu64 ", \"length\": %" PRIu64
		    ", \"depth\": %u, \"present\": %s, \"zero\": %s, "
		    "\"data\": %s, \"compressed\": %s", i > 0 ? ",\n" : "",
		    p->start, p->x.len, p->x.depth, bool_word(p->x.present),
		    bool_word(p->x.zero), bool_word(p->x.data),
		    bool_word(p->x.packed));
		if (p->x.data && !p->x.packed)
			fprintf(out, ", \"offset\": %" PRIu64, p->x.host);
		fputc('}', out);
	}
	fputs("], \"ok\": true}\n", out);
}

static const char *
kind_word(const struct disk_extent *x)
{
	if (x->packed)
		return "compressed";
	if (x->data)
		return x->zero ? "zero-data" : "data";
	return x->present ? "zero" : "nothing";
}

static void
print_table(FILE *out, const struct map *m)
{
	const struct part *p;
	size_t i;

	fprintf(out, "%-18s %-18s %-10s %5s %s\n", "START", "LENGTH", "WHAT",
	    "DEPTH", "OFFSET");
	for (i = 0; i < m->n; i++) {
		p = &m->part[i];
		fprintf(out, "%#-18" PRIx64 " %#-18" PRIx64 " %-10s %5u ",
		    p->start, p->x.len, kind_word(&p->x), p->x.depth);
		if (p->x.data && !p->x.packed)
			fprintf(out, "%#" PRIx64 "\n", p->x.host);
		else
			fputs("-\n", out);
	}
}

static void
map(struct image_call *c, const char *path, struct disk *d)
{
	struct map m = { 0 };
	struct image_work w;
	int error;

	error = image_work_begin(&w, false);
	if (error == 0) {
		error = map_fill(&m, &w, d);
		image_work_end(&w);
	}
	if (error != 0) {
		image_fail(c, path, error);
	} else if (c->json) {
		c->printed = true;
		print_json(c->out, &m);
	} else {
		print_table(c->out, &m);
	}
	free(m.part);
}

void
image_map(struct image_call *c)
{
	struct disk_how how = { .readonly = true };
	struct disk *d;

	d = image_open_to_look(c, &how);
	if (d != NULL)
		map(c, c->argv[optind], d);
	disk_close(d);
}
