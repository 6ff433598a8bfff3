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

/* A fixed VHD is raw but for its last sector, which begins so. */
#define VHD_FOOTER	512u

static const char qcow2_magic[4] = { 'Q', 'F', 'I', '\xfb' };
static const char vhd_magic[] = "conectix";

/*
 * Formats of others, which a guest's first write as to a raw disk destroys.
 * LUKS is none: guests encrypt whole raw disks by it.
 */
static const struct disk_foreign {
	unsigned	at, len;
	const char	*magic, *name;
} foreign[] = {
	{ 0, 4, "KDMV", "VMDK" },
	{ 0, 4, "COWD", "VMDK" },
	{ 0, 21, "# Disk DescriptorFile", "VMDK" },
	{ 0, 8, vhd_magic, "VHD" },		/* dynamic: a copy */
	{ 0, 8, "vhdxfile", "VHDX" },
	{ 0, 4, "QED", "QED" },			/* with its '\0' */
	{ 0, 16, "WithoutFreeSpace", "Parallels" },
	{ 0, 16, "WithouFreSpacExt", "Parallels" },
	{ 64, 4, "\x7f\x10\xda\xbe", "VDI" },
};

struct disk *
disk_refuse(const struct disk_opening *o, const char *fmt, ...)
{
	const struct disk_opening *top = disk_opening_first(o);
	va_list ap;
	int n;

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

bool
disk_is_file_name(const char *name)
{
	return strncmp(name, "file:", 5) == 0 ||
	    name[strcspn(name, ":/")] != ':';
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

enum disk_kind
disk_probe_bytes(const char first[4])
{
	return memcmp(first, qcow2_magic, sizeof(qcow2_magic)) == 0 ?
	    DISK_QCOW2 : DISK_RAW;
}

const char *
disk_foreign(const void *first, size_t len)
{
	const struct disk_foreign *f = foreign;

	for (; f < foreign + sizeof(foreign) / sizeof(foreign[0]); f++)
		if (f->at + f->len <= len && memcmp((const char *)first +
		    f->at, f->magic, f->len) == 0)
			return f->name;
	return NULL;
}

/* The same of a file's begin and end; -errno if they cannot be read. */
static int
disk_probe_foreign(const struct disk *file, const char *first, size_t len,
    const char **name)
{
	char last[sizeof(vhd_magic) - 1];
	int error;

	*name = disk_foreign(first, len);
	if (*name != NULL || file->info.size < VHD_FOOTER)
		return 0;
	error = disk_raw_read(file, last, sizeof(last),
	    file->info.size - VHD_FOOTER);
	if (error == 0 && memcmp(last, vhd_magic, sizeof(last)) == 0)
		*name = "VHD";
	return error;
}

/* What the user is to do with an image of another's format. */
static void
disk_refuse_foreign(const struct disk_opening *o, const char *name)
{
	const char *say = o->how.say_raw != NULL ? o->how.say_raw :
	    "format=raw";

	if (o->up != NULL)
		say = "";
	disk_refuse(o, "looks like a %s image, which is not supported; "
	    "convert it by qemu-img%s%s", name, *say != '\0' ? ", or say " : "",
	    say);
}

/*
 * The format of a file of which nobody has said it; DISK_AUTO once it is
 * refused.
 */
static enum disk_kind
disk_probe(const struct disk_opening *o, struct disk *file)
{
	const char *name = NULL;
	char first[DISK_SECTOR];
	enum disk_kind kind;
	int error;

	error = disk_raw_read(file, first, sizeof(first), 0);
	kind = error == 0 ? disk_probe_bytes(first) : DISK_AUTO;
	if (kind == DISK_RAW)
		error = disk_probe_foreign(file, first, sizeof(first), &name);
	if (name != NULL)
		disk_refuse_foreign(o, name);
	else if (error != 0)
		disk_refuse(o, "%s", strerror(-error));
	file->guessed = kind == DISK_RAW;
	return name != NULL || error != 0 ? DISK_AUTO : kind;
}

/* Who only reads may have a file of any size. */
static bool
disk_raw_finish(struct disk_opening *o, struct disk *file)
{
	bool readonly = o->how.readonly;

	if (!readonly && file->info.size % DISK_SECTOR != 0) {
		disk_refuse(o, "its size is not a multiple of 512 bytes");
		return false;
	}
	if (!disk_raw_ready(file, o, readonly))
		return false;
	if (readonly)
		disk_raw_round(file);
	return true;
}

struct disk *
disk_open_image(struct disk_opening *o)
{
	enum disk_kind kind = o->how.kind;
	struct disk *file;

	file = disk_raw_open(o);
	if (file == NULL)
		return NULL;
	if (kind == DISK_AUTO)
		kind = disk_probe(o, file);
	if (kind == DISK_AUTO) {
		disk_close(file);
		return NULL;
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
