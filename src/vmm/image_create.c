/* SPDX-License-Identifier: ISC */
/*
 * `vmmctl image create`: see image.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/config_value.h"
#include "vmm/image.h"
#include "vmm/image_copy.h"
#include "vmm/image_new.h"

/* One option of an image, as -o has it. */
struct option_name {
	const char	*name;
	/* False if the value is none. */
	bool		(*set)(struct disk_make *m, const char *value);
	const char	*values;	/* in words */
};

static bool
set_cluster(struct disk_make *m, const char *value)
{
	uint64_t v;

	if (value_parse(value, value_size_units, &v) != 0 || v < 512 ||
	    v > 2 << 20 || (v & (v - 1)) != 0)
		return false;
	m->cluster = (uint32_t)v;
	return true;
}

static bool
set_refcount(struct disk_make *m, const char *value)
{
	uint64_t v;

	if (value_parse(value, value_no_units, &v) != 0 || v == 0 || v > 64 ||
	    (v & (v - 1)) != 0)
		return false;
	m->refcount_bits = (unsigned)v;
	return true;
}

static bool
set_compat(struct disk_make *m, const char *value)
{
	if (strcmp(value, "1.1") == 0 || strcmp(value, "v3") == 0)
		m->version = 3;
	else if (strcmp(value, "0.10") == 0 || strcmp(value, "v2") == 0)
		m->version = 2;
	else
		return false;
	return true;
}

static bool
set_bool(bool *to, const char *value)
{
	*to = strcmp(value, "on") == 0;
	return *to || strcmp(value, "off") == 0;
}

static bool
set_lazy(struct disk_make *m, const char *value)
{
	return set_bool(&m->lazy, value);
}

static bool
set_extended(struct disk_make *m, const char *value)
{
	return set_bool(&m->extended, value);
}

static bool
set_compression(struct disk_make *m, const char *value)
{
	m->zstd = strcmp(value, "zstd") == 0;
	return m->zstd || strcmp(value, "zlib") == 0;
}

static bool
set_prealloc(struct disk_make *m, const char *value)
{
	static const char *const names[] = {
		[DISK_PREALLOC_OFF] = "off",
		[DISK_PREALLOC_METADATA] = "metadata",
		[DISK_PREALLOC_FALLOC] = "falloc",
		[DISK_PREALLOC_FULL] = "full",
	};
	unsigned i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(names[i], value) == 0) {
			m->prealloc = (enum disk_prealloc)i;
			return true;
		}
	}
	return false;
}

static bool
set_data(struct disk_make *m, const char *value)
{
	m->data = value;
	return *value != '\0';
}

static bool
set_raw_data(struct disk_make *m, const char *value)
{
	return set_bool(&m->raw_data, value);
}

/* In the words of qemu-img(1). */
static const struct option_name option_names[] = {
	{ "preallocation", set_prealloc, "off, metadata, falloc or full" },
	/* From here on of qcow2 alone. */
	{ "cluster_size", set_cluster, "512 to 2M, a power of two" },
	{ "compat", set_compat, "0.10 or 1.1" },
	{ "compression_type", set_compression, "zlib or zstd" },
	{ "data_file", set_data, "the name of a file to be made" },
	{ "data_file_raw", set_raw_data, "on or off" },
	{ "extended_l2", set_extended, "on or off" },
	{ "lazy_refcounts", set_lazy, "on or off" },
	{ "refcount_bits", set_refcount, "1, 2, 4, 8, 16, 32 or 64" },
};

/* Of qemu-img(1), for which there are options of the verb here. */
static const struct {
	const char	*name, *write;
} other_names[] = {
	{ "backing_file", "-b" },
	{ "backing_fmt", "-F" },
	{ "size", "-s" },
};

#define NOTHERS		(sizeof(other_names) / sizeof(other_names[0]))
#define NOPTIONS	(sizeof(option_names) / sizeof(option_names[0]))

void
image_options_help(FILE *out)
{
	size_t i;

	for (i = 0; i < NOPTIONS; i++)
		fprintf(out, "\t%-17s %s\n", option_names[i].name,
		    option_names[i].values);
}

/* What there is instead of an option that is none; always false. */
static bool
fail_option(struct image_call *c, const char *name, enum disk_kind kind)
{
	size_t i;

	for (i = 0; i < NOTHERS; i++)
		if (strcmp(other_names[i].name, name) == 0)
			break;
	if (i < NOTHERS)
		conn_fail(c->cn, "syntax", "image: no option `%s', write %s",
		    name, other_names[i].write);
	else
		conn_fail(c->cn, "syntax", "image: %s images have no option "
		    "`%s'", image_kind_name(kind), name);
	return false;
}

static bool
parse_option(struct image_call *c, char *text, struct disk_make *m,
    unsigned *seen)
{
	char *value = strchr(text, '=');
	size_t i;

	if (value == NULL) {
		conn_fail(c->cn, "syntax", "image: `%s' is not OPTION=VALUE",
		    text);
		return false;
	}
	*value++ = '\0';
	for (i = 0; i < NOPTIONS; i++)
		if (strcmp(option_names[i].name, text) == 0)
			break;
	if (i == NOPTIONS || (i > 0 && m->kind != DISK_QCOW2))
		return fail_option(c, text, m->kind);
	if ((*seen & 1u << i) != 0) {
		conn_fail(c->cn, "syntax", "image: %s: given twice", text);
		return false;
	}
	*seen |= 1u << i;
	if (option_names[i].set(m, value))
		return true;
	conn_fail(c->cn, "syntax", "image: %s is `%s', must be %s", text,
	    value, option_names[i].values);
	return false;
}

bool
image_parse_options(struct image_call *c, char *text, struct disk_make *m)
{
	unsigned seen = 0;
	bool ok = true;
	char *one;

	while (ok && (one = strsep(&text, ",")) != NULL)
		ok = parse_option(c, one, m, &seen);
	return ok;
}

struct create_args {
	const char	*file;
	const char	*format, *size;
	char		*options;
	const char	*behind, *behind_format;
};

/* False, and the error is kept. */
static bool
parse_args(struct image_call *c, struct create_args *a)
{
	uint64_t size;
	int ch;

	while ((ch = image_next(c, "f:s:o:b:F:", NULL)) != -1) {
		switch (ch) {
		case 'f':
			a->format = optarg;
			break;
		case 's':
			a->size = optarg;
			break;
		case 'o':
			a->options = optarg;
			break;
		case 'b':
			a->behind = optarg;
			break;
		default:
			a->behind_format = optarg;
		}
	}
	if (image_parsed(c) && c->argc - optind == 2 && a->size == NULL &&
	    value_parse(c->argv[optind + 1], value_size_units, &size) == 0)
		conn_fail(c->cn, "syntax", "image: write the size as -s %s, "
		    "before %s", c->argv[optind + 1], c->argv[optind]);
	if (!image_words(c, 1))
		return false;
	a->file = c->argv[optind];
	if (a->behind == NULL && a->behind_format != NULL)
		conn_fail(c->cn, "syntax", "image: -F needs -b");
	else if (a->behind == NULL && a->size == NULL)
		conn_fail(c->cn, "syntax", "image: %s: a size is missing: "
		    "-s 10G", a->file);
	return image_parsed(c);
}

/* Will those who open the image later take that name for a file's, too? */
static bool
is_file_behind(struct image_call *c, const struct create_args *a,
    const char *path)
{
	if (disk_is_file_name(a->behind))
		return true;
	if (access(path, F_OK) == 0)
		conn_fail(c->cn, "syntax", "image: %s: the image behind it, "
		    "`%s', would be taken for a protocol, write ./%s",
		    a->file, a->behind, a->behind);
	else
		conn_fail(c->cn, "syntax", "image: %s: the image behind it, "
		    "`%s', is named by something else than a file", a->file,
		    a->behind);
	return false;
}

/*
 * Only who has written an image knows that it is qcow2: a guest can make a raw
 * disk look like one that names the host's files.
 */
static bool
is_sure(struct image_call *c, const struct create_args *a, const char *path,
    const struct disk *d)
{
	if (a->behind_format != NULL || disk_kind(d) == DISK_RAW)
		return true;
	conn_fail(c->cn, "syntax", "image: write -F and the format of %s, which "
	    "looks like %s", path, image_kind_name(disk_kind(d)));
	return false;
}

/* The format of the image behind, and its size if no other is asked for. */
static bool
look_behind(struct image_call *c, const struct create_args *a,
    struct disk_make *m)
{
	struct disk_how how = {
		.readonly = true,
		.say_raw = "-F raw",
		/* What only looks like one may name any file. */
		.header = a->behind_format == NULL,
	};
	struct disk *d = NULL;
	char *path;
	bool ok;

	if (a->behind_format != NULL &&
	    !image_parse_kind(c, a->behind_format, &how.kind))
		return false;
	path = disk_path_beside(a->file, a->behind);
	if (path == NULL)
		return image_fail(c, a->behind, -ENOMEM);
	if (is_file_behind(c, a, path))
		d = image_open(c, path, &how);
	ok = d != NULL && is_sure(c, a, path, d) &&
	    (a->size != NULL || image_has_bytes(c, path, d));
	if (ok) {
		m->behind = a->behind;
		m->behind_format = image_kind_name(disk_kind(d));
	}
	if (ok && a->size == NULL)
		m->size = disk_info(d)->size;
	disk_close(d);
	free(path);
	return ok;
}

static bool
parse_make(struct image_call *c, const struct create_args *a,
    struct disk_make *m)
{
	enum disk_kind kind = DISK_AUTO;

	if (a->format != NULL && !image_parse_kind(c, a->format, &kind))
		return false;
	if (!image_kind_by_name(c, a->file, "-f", &kind))
		return false;
	disk_make_init(m, kind, 0);
	if (a->size != NULL && !image_parse_size(c, a->file, a->size,
	    &m->size))
		return false;
	if (a->behind != NULL && !look_behind(c, a, m))
		return false;
	if (a->options != NULL && !image_parse_options(c, a->options, m))
		return false;
	return image_check_make(c, a->file, m);
}

/* Can the new image be opened, with all that is behind it? */
static bool
try_open(struct image_call *c, const char *path, enum disk_kind kind)
{
	struct disk_how how = { .kind = kind };
	struct disk *d = image_open(c, path, &how);

	disk_close(d);
	return d != NULL;
}

/* Writes zeroes to the new image. */
static int
fill(struct image_call *c, struct image_work *w, const char *path,
    enum disk_kind kind)
{
	struct disk_how how = { .kind = kind };
	struct disk *d = image_open(c, path, &how);
	int error, closed;

	if (d == NULL)
		return -EINVAL;
	disk_attach(d, w->aio, w->tables);
	w->total = disk_info(d)->size;
	error = image_fill(w, d);
	closed = image_work_close(w, d, false);
	return error != 0 ? error : closed;
}

static bool
work_stops(void *arg)
{
	return image_work_ends(arg);
}

/* Makes what the files are to have. */
static int
make_files(struct image_call *c, struct image_work *w, struct image_new *n,
    const struct disk_make *m)
{
	struct disk_make own = *m;
	int error;

	own.stops = work_stops;
	own.stops_arg = w;
	error = m->data != NULL ? image_new_data(n, m->data) : 0;
	if (error != 0) {
		image_fail(c, m->data, error);
		return error;
	}
	error = disk_make(n->fd, n->data_fd, &own);
	if (error != 0)
		image_fail(c, n->path, error);
	return error;
}

bool
image_begin(struct image_call *c, struct image_work *w, struct image_new *n,
    const char *path, const struct disk_make *m)
{
	int error = image_new_begin(n, path);

	if (error != 0)
		return image_fail(c, path, error);
	error = make_files(c, w, n, m);
	if (error != 0)
		(void)image_new_end(n, error, false);
	return error == 0;
}

static void
create(struct image_call *c, struct image_work *w, const char *path,
    const struct disk_make *m)
{
	struct image_new n;
	int error = 0;

	if (!image_begin(c, w, &n, path, m))
		return;
	if (m->behind != NULL && !try_open(c, n.temp, m->kind))
		error = -EINVAL;
	else if (m->prealloc == DISK_PREALLOC_FULL)
		error = fill(c, w, n.temp, m->kind);
	if (error == 0 && image_work_ends(w))
		error = -EINTR;
	error = image_new_end(&n, error, true);
	if (error != 0)
		image_fail(c, path, error);
}

void
image_create(struct image_call *c)
{
	struct create_args a = { 0 };
	struct image_work w;
	struct disk_make m;
	int error;

	if (!parse_args(c, &a) || !parse_make(c, &a, &m))
		return;
	error = image_work_begin(&w, !c->json);
	if (error != 0) {
		image_fail(c, a.file, error);
		return;
	}
	create(c, &w, a.file, &m);
	image_work_end(&w);
}
