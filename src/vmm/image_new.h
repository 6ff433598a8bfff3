/* SPDX-License-Identifier: ISC */
/*
 * Files that have another name until they are whole.  Of an image with a data
 * file this is the image, without which the other is of no use.
 */
#ifndef VMMD_IMAGE_NEW_H
#define VMMD_IMAGE_NEW_H

#include <stdbool.h>

struct image_new {
	const char	*path;		/* what it will be */
	char		*temp;		/* what it is */
	int		 fd;
	char		*data;		/* the data file's path, or NULL */
	int		 data_fd;	/* -1 is none */
};

/*
 * Makes an empty file beside `path`, for nobody else to read: 0; -EEXIST if
 * there is something of that name; -errno.
 */
int image_new_begin(struct image_new *n, const char *path);

/* Makes an empty data file of that name, as the image will have it; the same. */
int image_new_data(struct image_new *n, const char *name);

/*
 * Ends it: with 0 as `error` it gets its name, else it goes.  0 or -errno,
 * which is `error` if that was one.  If it `lasts`, files and names are on the
 * host's disk then.
 */
int image_new_end(struct image_new *n, int error, bool lasts);

#endif /* VMMD_IMAGE_NEW_H */
