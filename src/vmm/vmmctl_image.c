/* SPDX-License-Identifier: ISC */
/*
 * `vmmctl image`: see vmmctl_image.h.
 */
#include "vmm/vmmctl_image.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

int
image_create(const char *path, uint64_t size)
{
	int fd, ret = 0;

	if (size > INT64_MAX)
		return -EFBIG;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)size) != 0 || fsync(fd) != 0)
		ret = -errno;
	close(fd);
	if (ret == 0)
		ret = sync_directory(path);
	if (ret != 0)
		unlink(path);
	return ret;
}
