/* SPDX-License-Identifier: ISC */
/*
 * Disks of every format: which one an image has, and the way to it.
 */
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/disk_local.h"

static const char qcow2_magic[4] = { 'Q', 'F', 'I', '\xfb' };

struct disk *
disk_refuse(const struct disk_opening *o, const char *fmt, ...)
{
	const struct disk_opening *top = o;
	va_list ap;
	int n;

	while (top->up != NULL)
		top = top->up;
	n = snprintf(o->err, o->errlen, "disk %s: ", top->path);
	if (o != top && n >= 0 && (size_t)n < o->errlen)
		n += snprintf(o->err + n, o->errlen - (size_t)n, "%s: ",
		    o->path);
	if (n < 0 || (size_t)n >= o->errlen)
		return NULL;
	va_start(ap, fmt);
	vsnprintf(o->err + n, o->errlen - (size_t)n, fmt, ap);
	va_end(ap);
	return NULL;
}

char *
disk_path_beside(const char *path, const char *name)
{
	const char *slash = strrchr(path, '/');
	char *where;

	if (strncmp(name, "file:", 5) == 0)
		name += 5;
	if (*name == '/' || slash == NULL)
		return strdup(name);
	if (asprintf(&where, "%.*s%s", (int)(slash - path + 1), path,
	    name) == -1)
		return NULL;
	return where;
}

/* Does an image above stand on the same file? */
static bool
disk_is_loop(const struct disk_opening *o)
{
	const struct disk_opening *up;

	for (up = o->up; up != NULL; up = up->up)
		if (up->dev == o->dev && up->ino == o->ino)
			return true;
	return false;
}

enum disk_kind
disk_probe_bytes(const char first[4])
{
	return memcmp(first, qcow2_magic, sizeof(qcow2_magic)) == 0 ?
	    DISK_QCOW2 : DISK_RAW;
}

/* What the file begins with; DISK_AUTO and *error if it cannot be read. */
static enum disk_kind
disk_probe(const struct disk *file, int *error)
{
	char magic[sizeof(qcow2_magic)];

	*error = disk_raw_read(file, magic, sizeof(magic), 0);
	if (*error != 0)
		return DISK_AUTO;
	return disk_probe_bytes(magic);
}

/* Behind another image the rest of a sector reads zero. */
static bool
disk_raw_finish(struct disk_opening *o, struct disk *file)
{
	bool behind = o->up != NULL;

	if (!behind && file->info.size % DISK_SECTOR != 0) {
		disk_refuse(o, "its size is not a multiple of 512 bytes");
		return false;
	}
	return disk_raw_ready(file, o, behind);
}

struct disk *
disk_open_image(struct disk_opening *o)
{
	enum disk_kind kind = o->how.kind;
	struct disk *file;
	int error;

	file = disk_raw_open(o);
	if (file == NULL)
		return NULL;
	error = disk_raw_id(file, &o->dev, &o->ino);
	if (error == 0 && kind == DISK_AUTO) {
		kind = disk_probe(file, &error);
		file->guessed = kind == DISK_RAW;
	}
	if (error != 0) {
		disk_close(file);
		return disk_refuse(o, "%s", strerror(-error));
	}
	if (disk_is_loop(o)) {
		disk_close(file);
		return disk_refuse(o, "is behind itself");
	}
	if (kind == DISK_QCOW2)
		return disk_qcow2_open(o, file);
	if (disk_raw_finish(o, file)) {
		if (o->how.about != NULL)
			o->how.about->kind = DISK_RAW;
		return file;
	}
	disk_close(file);
	return NULL;
}

struct disk *
disk_open(const struct confine *in, const char *path,
    const struct disk_how *how, char *err, size_t errlen)
{
	struct disk_opening o = {
		.in = in,
		.path = path,
		.how = *how,
		.err = err,
		.errlen = errlen,
	};

	return disk_open_image(&o);
}

void
disk_about_clear(struct disk_about *about)
{
	unsigned i;

	for (i = 0; i < about->nsnapshots; i++) {
		free(about->snapshot[i].id);
		free(about->snapshot[i].name);
	}
	free(about->snapshot);
	memset(about, 0, sizeof(*about));
}

enum disk_kind
disk_kind(const struct disk *d)
{
	return d->format->kind;
}

const struct disk_info *
disk_info(const struct disk *d)
{
	return &d->info;
}

void
disk_attach(struct disk *d, struct aio *aio, struct disk_tables *tables)
{
	d->aio = aio;
	d->tables = tables;
	d->format->attach(d);
}

void
disk_submit(struct disk *d, struct disk_req *req)
{
	assert(req->op == DISK_FLUSH || req->op == DISK_DETACH ||
	    req->len != 0);
	req->disk = d;
	d->format->submit(d, req);
}

void
disk_close(struct disk *d)
{
	if (d != NULL)
		d->format->close(d);
}
