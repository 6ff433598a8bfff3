/* SPDX-License-Identifier: ISC */
/*
 * The state directory: guests that were made at run time, one file each,
 * NAME.conf, which holds a section as vmmd.conf(5) has it.  Loop thread only;
 * the files are small, and writing one waits for the disk.
 */
#ifndef VMMD_STATEDIR_H
#define VMMD_STATEDIR_H

#include <stdio.h>

#include "base/buf.h"

/* The text of one guest's file at most. */
#define STATEDIR_TEXT_MAX	(64 * 1024)

/* The file of a guest, to be freed, or NULL. */
char *statedir_path(const char *dir, const char *name);

/* Opens one to be read; NULL with errno set, EINVAL if it is no plain file. */
FILE *statedir_open(const char *path);

/*
 * The names of all files of guests, sorted, in a list that ends with NULL and
 * is freed by statedir_free_list(): 0 or -errno.  No directory is no guests.
 */
int statedir_list(const char *dir, char ***names);
void statedir_free_list(char **names);

/*
 * Makes the section of guest `name` from the file `path`, or from nothing if
 * that is NULL, and `pairs`, key=value of a request, which are cut up: a key
 * that is given takes the place of all its lines, and an empty value removes
 * them.  0; -EINVAL with what cannot be written in `errors`, a line each; or
 * -errno.  What keys and values mean is not looked at.
 */
int statedir_edit(const char *path, const char *name, char *pairs,
    struct buf *text, struct buf *errors);

/*
 * Puts `text` in place of the file, all or nothing, whenever the host fails;
 * makes the directory if need be: 0 or -errno.
 */
int statedir_write(const char *path, const struct buf *text);

/* Removes the file for good: 0 or -errno. */
int statedir_remove(const char *path);

#endif /* VMMD_STATEDIR_H */
