/* SPDX-License-Identifier: ISC */
/*
 * The directories that files named by others must lie under.
 *
 * What counts is where a path leads once its symbolic links are followed, and
 * it is the very file found there that is opened: whoever changes links
 * meanwhile gets an error, not another file.
 */
#ifndef VMMD_CONFINE_H
#define VMMD_CONFINE_H

#include <stdbool.h>
#include <stddef.h>

struct confine;

/*
 * Opens directories, given one a line; "" or NULL is none, which confines
 * nothing and makes *cp NULL.  0, or -errno and one line in `err`.
 */
int confine_create(struct confine **cp, const char *dirs, char *err,
    size_t errlen);
void confine_destroy(struct confine *c);

/*
 * Opens a file as open(2) does, with O_CLOEXEC and without O_CREAT: its
 * descriptor; -EXDEV if it lies elsewhere; -errno.  Any thread.
 */
int confine_open(const struct confine *c, const char *path, int flags);

/*
 * May the file that `path` leads to be used so, as access(2) says?  0; -EXDEV
 * if it lies elsewhere; -errno.
 */
int confine_access(const struct confine *c, const char *path, int mode);

/* strerror(), in the words of whoever keeps the configuration. */
const char *confine_strerror(int error);

/*
 * Would `path` lie under one of `dirs`, as far as both can be followed today?
 * For checks before there is anything to open.
 */
bool confine_covers(const char *dirs, const char *path);

#endif /* VMMD_CONFINE_H */
