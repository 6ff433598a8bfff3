/* SPDX-License-Identifier: ISC */
/*
 * Root's rights and their end, Linux: see privilege.h.
 */
#include "vmm/privilege.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <cap-ng.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

uint64_t
privilege_lock_limit(uint64_t bytes)
{
	struct rlimit rl, now;

	if (getrlimit(RLIMIT_MEMLOCK, &now) == -1)
		return bytes;
	rl.rlim_cur = rl.rlim_max = bytes;
	if (setrlimit(RLIMIT_MEMLOCK, &rl) == 0)
		return bytes;
	rl.rlim_cur = rl.rlim_max = now.rlim_max;
	if (setrlimit(RLIMIT_MEMLOCK, &rl) == -1)
		rl = now;
	return rl.rlim_cur < bytes ? rl.rlim_cur : bytes;
}

static const struct passwd *
find_user(const char *user, char *err, size_t errlen)
{
	const struct passwd *pw;

	errno = 0;
	pw = getpwnam(user);
	if (pw == NULL)
		snprintf(err, errlen, "user %s: %s; create it, or name another "
		    "by [daemon] user", user, errno == 0 ? "no such user" :
		    strerror(errno));
	return pw;
}

/* Its groups are those that /etc/group gives it, none of root's. */
static int
become(const struct passwd *pw)
{
	int ret;

	capng_clear(CAPNG_SELECT_BOTH);
	ret = capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED,
	    CAP_NET_ADMIN);
	if (ret != 0)
		return ret;
	return capng_change_id(pw->pw_uid, pw->pw_gid,
	    CAPNG_INIT_SUPP_GRP | CAPNG_CLEAR_BOUNDING | CAPNG_CLEAR_AMBIENT);
}

static int
drop_root(const char *user, char *err, size_t errlen)
{
	const struct passwd *pw = find_user(user, err, errlen);
	int ret;

	if (pw == NULL)
		return -ENOENT;
	ret = become(pw);
	if (ret != 0) {
		snprintf(err, errlen, "user %s: cannot become it with "
		    "CAP_NET_ADMIN alone (step %d)", user, -ret);
		return -EPERM;
	}
	return 0;
}

int
privilege_give(const char *user, const char *file, const char *dir, char *err,
    size_t errlen)
{
	const struct passwd *pw;
	const char *what = file;
	int ret;

	if (geteuid() != 0)
		return 0;
	pw = find_user(user, err, errlen);
	if (pw == NULL)
		return -ENOENT;
	if (lchown(file, pw->pw_uid, -1) == -1 && errno != ENOENT)
		goto fail;
	what = dir;
	if (mkdir(dir, 0700) == 0 ? chown(dir, pw->pw_uid, pw->pw_gid) == -1 :
	    errno != EEXIST && errno != ENOENT)
		goto fail;
	return 0;

fail:
	ret = -errno;
	snprintf(err, errlen, "%s: %s", what, strerror(errno));
	return ret;
}

int
privilege_drop(const char *user, char *err, size_t errlen)
{
	int ret = 0;

	if (geteuid() == 0)
		ret = drop_root(user, err, errlen);
	if (ret == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1) {
		ret = -errno;
		snprintf(err, errlen, "no_new_privs: %s", strerror(errno));
	}
	return ret;
}
