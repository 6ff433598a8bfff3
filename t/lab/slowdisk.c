/* SPDX-License-Identifier: ISC */
/*
 * A disk of the host's that stalls: a file system that is only the file
 * "image", and that is another file.  While the file STALL is there, each read
 * is answered after so many seconds; no request waits for another.
 *
 * usage: slowdisk FILE STALL SECONDS DIRECTORY
 *
 * For each such read it writes a line, "stalls" and the offset.  It ends when
 * DIRECTORY is unmounted.
 */
#define FUSE_USE_VERSION 31

#include <sys/stat.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct slow {
	int		 fd;
	const char	*stall;
	unsigned	 seconds;
};

static struct slow *
slow_get(void)
{
	return fuse_get_context()->private_data;
}

static int
slow_getattr(const char *path, struct stat *st, struct fuse_file_info *fi)
{
	(void)fi;
	if (strcmp(path, "/") == 0) {
		st->st_mode = S_IFDIR | 0755;
		return 0;
	}
	if (strcmp(path, "/image") != 0)
		return -ENOENT;
	return fstat(slow_get()->fd, st) == -1 ? -errno : 0;
}

static int
slow_open(const char *path, struct fuse_file_info *fi)
{
	(void)path;
	/* The kernel caches nothing of it. */
	fi->direct_io = 1;
	return 0;
}

static int
slow_read(const char *path, char *buf, size_t len, off_t off,
    struct fuse_file_info *fi)
{
	struct slow *slow = slow_get();
	ssize_t n;

	(void)path;
	(void)fi;
	if (access(slow->stall, F_OK) == 0) {
		printf("stalls %jd\n", (intmax_t)off);
		fflush(stdout);
		sleep(slow->seconds);
	}
	n = pread(slow->fd, buf, len, off);
	return n == -1 ? -errno : (int)n;
}

static int
slow_write(const char *path, const char *buf, size_t len, off_t off,
    struct fuse_file_info *fi)
{
	ssize_t n = pwrite(slow_get()->fd, buf, len, off);

	(void)path;
	(void)fi;
	return n == -1 ? -errno : (int)n;
}

static int
slow_fsync(const char *path, int datasync, struct fuse_file_info *fi)
{
	(void)path;
	(void)datasync;
	(void)fi;
	return fsync(slow_get()->fd) == -1 ? -errno : 0;
}

static const struct fuse_operations operations = {
	.getattr = slow_getattr,
	.open = slow_open,
	.read = slow_read,
	.write = slow_write,
	.fsync = slow_fsync,
};

int
main(int argc, char **argv)
{
	/* As many threads as there may be reads that sleep. */
	char *args[] = { argv[0], "-f", "-o",
	    "allow_other,max_threads=64,max_idle_threads=64", argv[argc - 1], NULL };
	struct slow slow;

	if (argc != 5)
		errx(2, "usage: slowdisk FILE STALL SECONDS DIRECTORY");
	slow.fd = open(argv[1], O_RDWR);
	if (slow.fd == -1)
		err(1, "%s", argv[1]);
	slow.stall = argv[2];
	slow.seconds = (unsigned)atoi(argv[3]);
	return fuse_main(5, args, &operations, &slow);
}
