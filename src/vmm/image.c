/* SPDX-License-Identifier: ISC */
/*
 * `vmmctl image`: the verbs, and what their arguments share.  See image.h.
 */
#include "vmm/image.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/utf8.h"
#include "vmm/config_value.h"

#define EXIT_USAGE	2

static const struct image_verb verbs[] = {
	{ "check", "[-f FORMAT] [-r leaks|all] FILE", image_check },
	{ "commit", "[-f FORMAT] FILE", image_commit },
	{ "convert", "[-f FORMAT] [-O FORMAT] [-o OPTIONS] SRC DST",
	    image_convert },
	{ "create", "[-f FORMAT] [-o OPTIONS] [-b FILE [-F FORMAT]] "
	    "[-s SIZE] FILE", image_create },
	{ "info", "[-f FORMAT] [-U] FILE", image_info },
	{ "map", "[-f FORMAT] [-U] FILE", image_map },
	{ "resize", "[-f FORMAT] [--shrink] FILE [+|-]SIZE", image_resize },
};

#define NVERBS	(sizeof(verbs) / sizeof(verbs[0]))

void
image_usage(FILE *out, const char *prefix)
{
	size_t i;

	for (i = 0; i < NVERBS; i++)
		fprintf(out, "%simage %s %s\n", prefix, verbs[i].name,
		    verbs[i].usage);
}

void
image_usage_exit(const struct image_call *c)
{
	fprintf(stderr, "usage: vmmctl [-j] image %s %s\n", c->verb->name,
	    c->verb->usage);
	exit(EXIT_USAGE);
}

void
image_run(struct image_call *c, char *program)
{
	const char *name = c->argc > 0 ? c->argv[0] : "";
	size_t i;

	for (i = 0; i < NVERBS; i++) {
		if (strcmp(verbs[i].name, name) != 0)
			continue;
		c->verb = &verbs[i];
		/* getopt() begins its messages with it. */
		c->argv[0] = program;
		optind = 1;
		verbs[i].run(c);
		return;
	}
	fprintf(stderr, "usage: vmmctl [-j] image VERB\nverbs:\n");
	image_usage(stderr, "\t");
	exit(EXIT_USAGE);
}

bool
image_fail(struct image_call *c, const char *path, int error)
{
	conn_fail(c->cn, "failed", "image: %s: %s", path, strerror(-error));
	return false;
}

bool
image_failed(const struct image_call *c)
{
	return *c->cn->code != '\0';
}

int
image_row(struct image_call *c, struct buf *b)
{
	int ret = buf_append(b, "", 1);

	if (ret == 0)
		ret = rows_add(c->rows, buf_head(b));
	buf_consume(b, b->len);
	return ret;
}

void
image_print(FILE *out, const struct rows *rs)
{
	unsigned i, k;

	for (i = 0; i < rs->n; i++) {
		if (i > 0)
			fputc('\n', out);
		for (k = 0; k < rs->row[i].npairs; k++) {
			fprintf(out, "%s: ", rs->row[i].key[k]);
			utf8_print(out, rs->row[i].value[k]);
			fputc('\n', out);
		}
	}
}

void
image_option(struct image_call *c, int ch)
{
	if (ch != 'j')
		image_usage_exit(c);
	c->json = true;
}

bool
image_kind_by_name(const char *path, enum disk_kind *kind)
{
	const char *dot = strrchr(path, '.');

	if (dot == NULL)
		return false;
	if (strcmp(dot, ".raw") == 0 || strcmp(dot, ".img") == 0)
		*kind = DISK_RAW;
	else if (strcmp(dot, ".qcow2") == 0)
		*kind = DISK_QCOW2;
	else
		return false;
	return true;
}

const char *
image_kind_name(enum disk_kind kind)
{
	return kind == DISK_QCOW2 ? "qcow2" : "raw";
}

bool
image_parse_kind(struct image_call *c, const char *name, enum disk_kind *kind)
{
	if (strcmp(name, "raw") == 0) {
		*kind = DISK_RAW;
	} else if (strcmp(name, "qcow2") == 0) {
		*kind = DISK_QCOW2;
	} else {
		conn_fail(c->cn, "syntax", "image: `%s' is no format, write "
		    "raw or qcow2", name);
		return false;
	}
	return true;
}

bool
image_parse_size(struct image_call *c, const char *text, uint64_t *v)
{
	if (value_parse(text, value_size_units, v) == 0 && *v != 0 &&
	    *v % DISK_SECTOR == 0)
		return true;
	conn_fail(c->cn, "syntax", "image: `%s' is no size, write a number "
	    "and K, M, G or T, a multiple of %d bytes", text, DISK_SECTOR);
	return false;
}

struct disk *
image_open(struct image_call *c, const char *path, const struct disk_how *how)
{
	char err[CONN_ERROR_MAX - 8];
	struct disk_how own = *how;
	struct disk *d;

	if (own.say_raw == NULL)
		own.say_raw = "-f raw";
	d = disk_open(NULL, path, &own, err, sizeof(err));
	if (d == NULL)
		conn_fail(c->cn, "failed", "image: %s", err);
	return d;
}

struct disk *
image_open_to_look(struct image_call *c, struct disk_how *how)
{
	int ch;

	while ((ch = getopt(c->argc, c->argv, "+jUf:")) != -1) {
		if (ch == 'U')
			how->unlocked = true;
		else if (ch != 'f')
			image_option(c, ch);
		else if (!image_parse_kind(c, optarg, &how->kind))
			return NULL;
	}
	if (optind != c->argc - 1)
		image_usage_exit(c);
	return image_open(c, c->argv[optind], how);
}
