/* SPDX-License-Identifier: ISC */
/*
 * Files that have another name until they are whole: see image_new.h.
 */
#include "vmm/image_new.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int
image_new_begin(struct image_new *n, const char *path)
{
	struct stat st;
	int error;

	n->path = path;
	if (lstat(path, &st) == 0)
		return -EEXIST;
	if (asprintf(&n->temp, "%s.XXXXXX", path) == -1)
		return -ENOMEM;
	n->fd = mkostemp(n->temp, O_CLOEXEC);
	if (n->fd != -1)
		return 0;
	error = -errno;
	free(n->temp);
	return error;
}

/* The name of a file lasts once its directory is on the disk. */
static int
sync_directory(const char *path)
{
	char *copy = strdup(path);
	int fd, ret = 0;

	if (copy == NULL)
		return -ENOMEM;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) != 0)
		ret = -errno;
	if (fd >= 0)
		close(fd);
	free(copy);
	return ret;
}

/* Not over a file that came meanwhile. */
static int
image_new_name(struct image_new *n)
{
	struct stat st;

	if (link(n->temp, n->path) == 0)
		return 0;
	if (errno != EPERM && errno != EOPNOTSUPP && errno != EMLINK)
		return -errno;
	/* A file system without hard links. */
	if (lstat(n->path, &st) == 0)
		return -EEXIST;
	return rename(n->temp, n->path) == -1 ? -errno : 0;
}

int
image_new_end(struct image_new *n, int error, bool lasts)
{
	if (error == 0 && lasts && fsync(n->fd) == -1)
		error = -errno;
	if (error == 0)
		error = image_new_name(n);
	if (error == 0 && lasts)
		error = sync_directory(n->path);
	close(n->fd);
	unlink(n->temp);
	free(n->temp);
	return error;
}
