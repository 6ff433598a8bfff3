/* SPDX-License-Identifier: ISC */
/*
 * Files under given directories, Linux: see confine.h.  realpath(3) says where
 * a path leads; openat2(2) then goes there from the directory's descriptor
 * and refuses links, so that nothing changes between the two.
 */
#include "base/confine.h"

#include <sys/syscall.h>

#include <linux/openat2.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Immutable once made. */
struct confine {
	struct confine	*next;
	int		 fd;		/* O_PATH */
	char		 dir[PATH_MAX];	/* without links */
};

/* What is left of `path` below `dir`, or NULL if it lies elsewhere. */
static const char *
below(const char *dir, const char *path)
{
	size_t n = strlen(dir);

	if (strncmp(path, dir, n) != 0)
		return NULL;
	/* Only the root ends in a slash. */
	if (n > 0 && dir[n - 1] == '/')
		return path + n;
	return path[n] == '/' ? path + n + 1 : NULL;
}

/* One more directory; the calls before made `*cp`. */
static int
confine_add(struct confine **cp, const char *dir)
{
	struct confine *c;
	int error;

	c = malloc(sizeof(*c));
	if (c == NULL)
		return -ENOMEM;
	if (realpath(dir, c->dir) == NULL)
		goto fail;
	c->fd = open(c->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (c->fd == -1)
		goto fail;
	c->next = *cp;
	*cp = c;
	return 0;

fail:
	error = -errno;
	free(c);
	return error;
}

/* Takes the next line out of *dirs into `dir`, or returns false. */
static bool
next_dir(const char **dirs, char dir[PATH_MAX])
{
	size_t n = strcspn(*dirs, "\n");

	if (**dirs == '\0')
		return false;
	snprintf(dir, PATH_MAX, "%.*s", (int)n, *dirs);
	*dirs += n + ((*dirs)[n] == '\n');
	return true;
}

int
confine_create(struct confine **cp, const char *dirs, char *err,
    size_t errlen)
{
	char dir[PATH_MAX];
	int error;

	*cp = NULL;
	while (dirs != NULL && next_dir(&dirs, dir)) {
		error = confine_add(cp, dir);
		if (error != 0) {
			snprintf(err, errlen, "path %s: %s", dir,
			    confine_strerror(-error));
			confine_destroy(*cp);
			*cp = NULL;
			return error;
		}
	}
	return 0;
}

void
confine_destroy(struct confine *c)
{
	struct confine *next;

	for (; c != NULL; c = next) {
		next = c->next;
		close(c->fd);
		free(c);
	}
}

static int
open_below(int fd, const char *path, int flags)
{
	struct open_how how = {
		.flags = (unsigned)flags | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
	};
	long ret;

	ret = syscall(SYS_openat2, fd, path, &how, sizeof(how));
	return ret == -1 ? -errno : (int)ret;
}

int
confine_open(const struct confine *c, const char *path, int flags)
{
	char where[PATH_MAX];
	const char *rest;
	int fd;

	if (c == NULL) {
		fd = open(path, flags | O_CLOEXEC);
		return fd == -1 ? -errno : fd;
	}
	if (realpath(path, where) == NULL)
		return -errno;
	for (; c != NULL; c = c->next) {
		rest = below(c->dir, where);
		if (rest != NULL)
			return open_below(c->fd, rest, flags);
	}
	return -EXDEV;
}

int
confine_access(const struct confine *c, const char *path, int mode)
{
	char where[PATH_MAX];
	bool found = c == NULL;

	if (realpath(path, where) == NULL)
		return -errno;
	for (; c != NULL; c = c->next)
		found |= below(c->dir, where) != NULL;
	if (!found)
		return -EXDEV;
	return faccessat(AT_FDCWD, where, mode, AT_EACCESS) == 0 ? 0 : -errno;
}

const char *
confine_strerror(int error)
{
	if (error == EXDEV)
		return "lies outside of [daemon] path";
	if (error == EACCES)
		return "Permission denied to the daemon's user";
	return strerror(error);
}

/*
 * Where a path leads, as far as it exists and may be looked at; what does not
 * is taken as it is written.
 */
static void
follow(const char *path, char where[PATH_MAX])
{
	char part[PATH_MAX], *slash;

	if (realpath(path, where) != NULL)
		return;
	snprintf(part, sizeof(part), "%s", path);
	slash = strrchr(part, '/');
	/* The directory of a file that is yet to come. */
	if (slash != NULL && slash != part) {
		*slash = '\0';
		if (realpath(part, where) != NULL &&
		    strlen(where) + strlen(slash + 1) + 2 <= PATH_MAX) {
			strcat(where, "/");
			strcat(where, slash + 1);
			return;
		}
	}
	snprintf(where, PATH_MAX, "%s", path);
}

bool
confine_covers(const char *dirs, const char *path)
{
	char dir[PATH_MAX], where[PATH_MAX], file[PATH_MAX];

	follow(path, file);
	while (next_dir(&dirs, dir)) {
		if (realpath(dir, where) == NULL)
			snprintf(where, sizeof(where), "%s", dir);
		if (below(where, file) != NULL)
			return true;
	}
	return false;
}
