/* SPDX-License-Identifier: ISC */
/*
 * `vmmctl image`: the verbs, and what their arguments share.  See image.h.
 */
#include "vmm/image.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/utf8.h"
#include "vmm/config_value.h"
#include "vmm/proto.h"

#define EXIT_USAGE	2

static const struct image_verb verbs[] = {
	{ "check", "[-f FORMAT] [-r leaks|all] FILE",
	    "look whether an image's tables are right, and repair them",
	    image_check, false },
	{ "commit", "[-f FORMAT] FILE",
	    "write what an image has to the one behind it", image_commit, false },
	{ "convert", "[-f FORMAT] [-O FORMAT] [-o OPTIONS] SRC DST",
	    "copy all that a disk has to a new image", image_convert, true },
	{ "create", "[-f FORMAT] [-o OPTIONS] [-b FILE [-F FORMAT]] "
	    "[-s SIZE] FILE", "make an image of zeroes, or before another",
	    image_create, true },
	{ "info", "[-f FORMAT] [-U] FILE",
	    "show what an image is, and its snapshots", image_info, false },
	{ "map", "[-f FORMAT] [-U] FILE",
	    "show what there is of a disk, and where", image_map, false },
	{ "resize", "[-f FORMAT] [--shrink] FILE [+|-]SIZE",
	    "give a disk another size", image_resize, false },
};

#define NVERBS	(sizeof(verbs) / sizeof(verbs[0]))

/* As the usage has them. */
static const struct {
	const char	*option, *what;
} options[] = {
	{ "-b FILE", "the image behind it, seen from its directory" },
	{ "-F FORMAT", "what that is, if not what it begins with" },
	{ "-f FORMAT", "raw or qcow2: what it is, or a new one is to be" },
	{ "-O FORMAT", "what the copy is to be, if its name does not say" },
	{ "-o OPTIONS", "NAME=VALUE,... of the new image; see below" },
	{ "-r leaks|all", "repair leaks, or all" },
	{ "-s SIZE", "of the disk: 10G" },
	{ "--shrink", "what is cut off may be lost" },
	{ "-U", "also while it is in use" },
};

#define NOPTIONS	(sizeof(options) / sizeof(options[0]))

void
image_usage(FILE *out, const char *prefix)
{
	size_t i;

	for (i = 0; i < NVERBS; i++)
		fprintf(out, "%simage %s %s\n", prefix, verbs[i].name,
		    verbs[i].usage);
}

void
image_help(FILE *out, const struct image_verb *verb)
{
	size_t i;

	if (verb != NULL) {
		fprintf(out, "usage: vmmctl [-j] image %s %s\n", verb->name,
		    verb->usage);
	} else {
		fprintf(out, "usage: vmmctl [-j] image VERB\nverbs:\n");
		image_usage(out, "\t");
	}
	fprintf(out, "options:\n");
	for (i = 0; i < NOPTIONS; i++)
		if (verb == NULL ||
		    strstr(verb->usage, options[i].option) != NULL)
			fprintf(out, "\t%-14s %s\n", options[i].option,
			    options[i].what);
	if (verb == NULL || strstr(verb->usage, "-o OPTIONS") != NULL) {
		fprintf(out, "options of new images:\n");
		image_options_help(out);
	}
}

int
image_help_row(struct buf *b, unsigned i)
{
	const struct image_verb *v = i > 0 ? &verbs[i - 1] : NULL;
	int ret;

	if (i > NVERBS)
		return -ENOENT;
	ret = buf_printf(b, "help");
	ret = ret ?: proto_pairf(b, "verb", i > 0 ? "image %s" : "image",
	    i > 0 ? v->name : "");
	ret = ret ?: proto_pair(b, "args", i > 0 ? v->usage : "VERB ...");
	ret = ret ?: proto_pair(b, "usage", i > 0 ? v->what :
	    "make, show, copy and repair disk images");
	ret = ret ?: proto_pair(b, "for", "any");
	return ret ?: buf_append(b, "\n", 1);
}

void
image_usage_exit(const struct image_call *c)
{
	fprintf(stderr, "usage: vmmctl [-j] image %s %s\n", c->verb->name,
	    c->verb->usage);
	exit(EXIT_USAGE);
}

static bool
is_help(const char *word)
{
	return strcmp(word, "help") == 0 || strcmp(word, "-h") == 0 ||
	    strcmp(word, "--help") == 0;
}

static void
fail_verb(struct image_call *c, const char *name)
{
	char all[128] = "";
	size_t i, len = 0;

	for (i = 0; i < NVERBS; i++)
		len += (size_t)snprintf(all + len, sizeof(all) - len, "%s%s",
		    i > 0 ? ", " : "", verbs[i].name);
	conn_fail(c->cn, "syntax", "image: no verb `%s', there are %s", name,
	    all);
}

void
image_run(struct image_call *c, char *program)
{
	const char *name = c->argc > 0 ? c->argv[0] : "";
	size_t i;

	if (is_help(name)) {
		image_help(c->out, NULL);
		c->printed = true;
		return;
	}
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
	if (c->argc == 0) {
		fprintf(stderr, "usage: vmmctl [-j] image VERB\nverbs:\n");
		image_usage(stderr, "\t");
		exit(EXIT_USAGE);
	}
	fail_verb(c, name);
}

bool
image_fail(struct image_call *c, const char *path, int error)
{
	if (error == -EINTR && c->verb->makes)
		conn_fail(c->cn, "failed", "image: interrupted, %s has not "
		    "been made", c->argv[c->argc - 1]);
	else if (error == -EINTR)
		conn_fail(c->cn, "failed", "image: interrupted, begin again");
	else if (error == -EEXIST)
		conn_fail(c->cn, "failed", "image: %s: is there already, and "
		    "is never overwritten; remove it first", path);
	else
		conn_fail(c->cn, "failed", "image: %s: %s", path,
		    strerror(-error));
	return false;
}

bool
image_has_bytes(struct image_call *c, const char *path, const struct disk *d)
{
	if (disk_info(d)->size != 0)
		return true;
	conn_fail(c->cn, "failed", "image: %s: is empty", path);
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

/* Has it an argument, and been given before? */
static bool
is_given_again(struct image_call *c, const char *own, int ch)
{
	const char *p = strchr(own, ch);
	uint64_t bit;

	if (p == NULL || p[1] != ':')
		return false;
	bit = UINT64_C(1) << (ch - 'A');
	if ((c->given & bit) != 0)
		conn_fail(c->cn, "syntax", "image: -%c: given twice", ch);
	c->given |= bit;
	return image_failed(c);
}

int
image_next(struct image_call *c, const char *own, const struct option *longs)
{
	static const struct option none[] = {
		IMAGE_LONG_HELP,
		{ NULL, 0, NULL, 0 },
	};
	char all[32];
	int ch;

	snprintf(all, sizeof(all), "+hj%s", own);
	while (image_parsed(c)) {
		ch = getopt_long(c->argc, c->argv, all, longs != NULL ? longs :
		    none, NULL);
		if (ch == '?') {
			image_usage_exit(c);
		} else if (ch == 'j') {
			c->json = true;
		} else if (ch == 'h') {
			image_help(c->out, c->verb);
			c->printed = true;
		} else if (ch == -1 || !is_given_again(c, own, ch)) {
			return ch;
		}
	}
	return -1;
}

bool
image_parsed(const struct image_call *c)
{
	return !image_failed(c) && !c->printed;
}

/* Not "-1G", and not "-". */
static bool
is_option(const char *word)
{
	return word[0] == '-' && (word[1] == '-' ||
	    isalpha((unsigned char)word[1]));
}

bool
image_words(const struct image_call *c, int n)
{
	int i;

	if (!image_parsed(c) || c->argc - optind == n)
		return image_parsed(c);
	if (c->argc - optind < n)
		image_usage_exit(c);
	for (i = optind + 1; i < c->argc; i++)
		if (is_option(c->argv[i]))
			break;
	if (i < c->argc)
		conn_fail(c->cn, "syntax", "image: %s: options stand before "
		    "%s", c->argv[i], c->verb->makes && n > 1 ? "SRC" : "FILE");
	else if (n == 1)
		conn_fail(c->cn, "syntax", "image: `%s': one FILE only",
		    c->argv[optind + 1]);
	else
		image_usage_exit(c);
	return false;
}

bool
image_kind_by_name(struct image_call *c, const char *path, const char *option,
    enum disk_kind *kind)
{
	const char *dot = strrchr(path, '.');

	if (*kind != DISK_AUTO || dot == NULL)
		;
	else if (strcmp(dot, ".raw") == 0 || strcmp(dot, ".img") == 0)
		*kind = DISK_RAW;
	else if (strcmp(dot, ".qcow2") == 0)
		*kind = DISK_QCOW2;
	if (*kind != DISK_AUTO)
		return true;
	conn_fail(c->cn, "syntax", "image: %s: its name ends neither in .raw, "
	    ".img nor .qcow2, write %s and a format", path, option);
	return false;
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
image_parse_size(struct image_call *c, const char *path, const char *text,
    uint64_t *v)
{
	if (value_parse(text, value_size_units, v) == 0 && *v != 0 &&
	    *v % DISK_SECTOR == 0)
		return true;
	conn_fail(c->cn, "syntax", "image: %s: `%s' is no size: a whole number "
	    "of bytes, a multiple of %d, or with K, M, G or T behind it", path,
	    text, DISK_SECTOR);
	return false;
}

bool
image_check_make(struct image_call *c, const char *path,
    const struct disk_make *m)
{
	uint64_t end = disk_make_end(m);
	const char *why = disk_make_check(m);
	char limit[32];

	if (why == NULL)
		return true;
	value_format(limit, sizeof(limit), value_size_units, end);
	if (m->size >= end)
		conn_fail(c->cn, "syntax", "image: %s: %s: a disk like that "
		    "is smaller than %s", path, why, limit);
	else
		conn_fail(c->cn, "syntax", "image: %s: %s", path, why);
	return false;
}

struct disk *
image_open(struct image_call *c, const char *path, const struct disk_how *how)
{
	char err[CONN_ERROR_MAX];
	struct disk_how own = *how;
	struct disk *d;

	own.tool = true;
	if (own.say_raw == NULL)
		own.say_raw = "-f raw";
	d = disk_open(NULL, path, &own, err, sizeof(err));
	/* All that is opened here are disks. */
	if (d == NULL)
		conn_fail(c->cn, "failed", "image: %.*s",
		    CONN_ERROR_MAX - 8, err + strlen("disk "));
	return d;
}

struct disk *
image_open_to_look(struct image_call *c, struct disk_how *how)
{
	int ch;

	how->say_unlocked = "-U looks at it nevertheless";
	while ((ch = image_next(c, "Uf:", NULL)) != -1) {
		if (ch == 'U')
			how->unlocked = true;
		else
			(void)image_parse_kind(c, optarg, &how->kind);
	}
	if (!image_words(c, 1))
		return NULL;
	return image_open(c, c->argv[optind], how);
}
