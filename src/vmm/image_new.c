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

#include "devices/disk.h"

int
image_new_begin(struct image_new *n, const char *path)
{
	struct stat st;
	int error;

	n->path = path;
	n->data = NULL;
	n->data_fd = -1;
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

int
image_new_data(struct image_new *n, const char *name)
{
	int error = 0;

	n->data = disk_path_beside(n->path, name);
	if (n->data == NULL)
		return -ENOMEM;
	n->data_fd = open(n->data, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
	    0600);
	if (n->data_fd == -1) {
		error = -errno;
		free(n->data);
		n->data = NULL;
	}
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

/* The data file is there before the image that needs it. */
static int
image_new_end_data(struct image_new *n, bool lasts)
{
	if (n->data == NULL || !lasts)
		return 0;
	if (fsync(n->data_fd) == -1)
		return -errno;
	return sync_directory(n->data);
}

static void
image_new_close_data(struct image_new *n, int error)
{
	if (n->data == NULL)
		return;
	close(n->data_fd);
	if (error != 0)
		unlink(n->data);
	free(n->data);
}

int
image_new_end(struct image_new *n, int error, bool lasts)
{
	if (error == 0)
		error = image_new_end_data(n, lasts);
	if (error == 0 && lasts && fsync(n->fd) == -1)
		error = -errno;
	if (error == 0)
		error = image_new_name(n);
	if (error == 0 && lasts)
		error = sync_directory(n->path);
	close(n->fd);
	unlink(n->temp);
	free(n->temp);
	image_new_close_data(n, error);
	return error;
}
