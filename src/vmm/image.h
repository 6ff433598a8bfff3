/* SPDX-License-Identifier: ISC */
/*
 * `vmmctl image`: disk images made, looked at, copied and repaired with the
 * caller's rights, by the disk formats that the daemon has, on a loop of its
 * own.
 *
 *	image.c			the verbs, and what their arguments share
 *	image_create.c		create; and options of new images
 *	image_info.c		info
 *	image_convert.c		convert
 *	image_check.c		check
 *	image_commit.c		commit
 *	image_map.c		map
 *	image_resize.c		resize
 *	image_new.c		files that get their name when they are whole
 *	image_work.c		the loop, interrupts, the progress bar
 *	image_copy.c		one disk's bytes to another
 */
#ifndef VMMD_IMAGE_H
#define VMMD_IMAGE_H

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "devices/disk.h"
#include "devices/disk_make.h"
#include "vmm/vmmctl_conn.h"
#include "vmm/vmmctl_rows.h"

struct image_new;
struct image_verb;
struct image_work;

/* One call. */
struct image_call {
	struct conn	*cn;		/* keeps what goes wrong */
	struct rows	*rows;		/* what it tells */
	FILE		*out;		/* for what makes no rows */
	bool		 json;
	int		 argc;		/* behind the verb, which is argv[0] */
	char		**argv;

	/* Its own. */
	const struct image_verb *verb;
	uint64_t	 given;		/* options: a bit a letter, from A on */
	int		 status;	/* of the exit, if nothing goes wrong */
	bool		 printed;	/* all of it, also as JSON */
};

struct image_verb {
	const char	*name;
	const char	*usage;		/* behind the name */
	const char	*what;		/* it does */
	/* Prints, unless it is JSON that is asked for. */
	void		(*run)(struct image_call *c);
	bool		makes;		/* a file, named by the last word */
};

/*
 * Does what is asked for by the program of that name; wrong arguments end it.
 */
void image_run(struct image_call *c, char *program);

/* The usage of all verbs, a line each. */
void image_usage(FILE *out, const char *prefix);

/* The same, and what options mean; of one verb, or with NULL of all. */
void image_help(FILE *out, const struct image_verb *verb);

/*
 * Appends a row of `vmmctl help`: the first is of the command, others are of
 * its verbs.  0; -ENOENT behind the last; -errno.
 */
int image_help_row(struct buf *b, unsigned i);

/* Of the one verb; does not return. */
void image_usage_exit(const struct image_call *c)
    __attribute__((__noreturn__));

/*
 * Keeps what is wrong with a file, or that an interrupt was it; always false.
 */
bool image_fail(struct image_call *c, const char *path, int error);

/* The same for a disk without a byte; else it does nothing, and is true. */
bool image_has_bytes(struct image_call *c, const char *path,
    const struct disk *d);

/* Has anything gone wrong? */
bool image_failed(const struct image_call *c);

/* Adds a row, of which the buffer is emptied: 0 or -errno. */
int image_row(struct image_call *c, struct buf *b);

/* Rows for a person: KEY: VALUE, an empty line between them. */
void image_print(FILE *out, const struct rows *rs);

/*
 * As getopt_long(3), for options that belong to one verb; `longs` is NULL or
 * has IMAGE_LONG_HELP too.  What all verbs know is done here; those with an
 * argument may be given once.  -1 too if something is wrong with them; the
 * program ends if there is no such option.
 */
#define IMAGE_LONG_HELP	{ "help", no_argument, NULL, 'h' }
int image_next(struct image_call *c, const char *options,
    const struct option *longs);

/* Is nothing wrong with the options, and more asked for than help? */
bool image_parsed(const struct image_call *c);

/* The same, and so many words follow them; else the program ends. */
bool image_words(const struct image_call *c, int n);

/* "raw", "qcow2"; false, and the error is kept. */
bool image_parse_kind(struct image_call *c, const char *name,
    enum disk_kind *kind);
const char *image_kind_name(enum disk_kind kind);

/*
 * If it is DISK_AUTO, what a new image is to be by its name; false, and the
 * error that names the option which says it is kept.
 */
bool image_kind_by_name(struct image_call *c, const char *path,
    const char *option, enum disk_kind *kind);

/* "10G" for that file, of whole sectors; false, and the error is kept. */
bool image_parse_size(struct image_call *c, const char *path,
    const char *text, uint64_t *v);

/* Can there be such an image?  False, and the error is kept. */
bool image_check_make(struct image_call *c, const char *path,
    const struct disk_make *m);

/* NULL, and the error is kept. */
struct disk *image_open(struct image_call *c, const char *path,
    const struct disk_how *how);

/*
 * The one image, c->argv[optind] from then on, of a verb that only looks at
 * it, with the options of those.  NULL, and the error is kept.
 */
struct disk *image_open_to_look(struct image_call *c, struct disk_how *how);

/*
 * "cluster_size=64K,compat=1.1", which is cut up and stays in use; false, and
 * the error is kept.
 */
bool image_parse_options(struct image_call *c, char *text,
    struct disk_make *m);
/* What there can be, a line each. */
void image_options_help(FILE *out);

/*
 * Makes the file, or files, of a new image, unless interrupted; false, the
 * error is kept and nothing is left.  The work, which has the interrupts,
 * begins before it and ends after image_new_end().
 */
bool image_begin(struct image_call *c, struct image_work *w,
    struct image_new *n, const char *path, const struct disk_make *m);

/* The verbs. */
void image_create(struct image_call *c);
void image_info(struct image_call *c);
void image_convert(struct image_call *c);
void image_check(struct image_call *c);
void image_commit(struct image_call *c);
void image_map(struct image_call *c);
void image_resize(struct image_call *c);

#endif /* VMMD_IMAGE_H */
