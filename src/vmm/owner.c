/* SPDX-License-Identifier: ISC */
/*
 * Owners: see owner.h.  Names are looked up when a configuration is read, and
 * never on behalf of a request, since a lookup may take its time.
 */
#include "vmm/owner.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

/* A number that is an ID: true. */
static bool
parse_id(const char *s, uint32_t *id)
{
	char *end;
	unsigned long v;

	if (*s < '0' || *s > '9')
		return false;
	errno = 0;
	v = strtoul(s, &end, 10);
	if (errno != 0 || *end != '\0' || v >= OWNER_NONE)
		return false;
	*id = (uint32_t)v;
	return true;
}

static int
parse_user(const char *s, uint32_t *uid)
{
	const struct passwd *pw;

	if (parse_id(s, uid))
		return 0;
	pw = getpwnam(s);
	if (pw == NULL)
		return -ENOENT;
	*uid = pw->pw_uid;
	return 0;
}

static int
parse_group(const char *s, uint32_t *gid)
{
	const struct group *gr;

	if (parse_id(s, gid))
		return 0;
	gr = getgrnam(s);
	if (gr == NULL)
		return -ENOENT;
	*gid = gr->gr_gid;
	return 0;
}

int
owner_parse(const char *s, bool group_only, struct owner *o)
{
	char *user, *group;
	int ret = 0;

	o->uid = OWNER_NONE;
	o->gid = OWNER_NONE;
	if (strcmp(s, "-") == 0)
		return 0;
	if (group_only)
		return parse_group(s, &o->gid);
	user = strdup(s);
	if (user == NULL)
		return -ENOMEM;
	group = strchr(user, ':');
	if (group != NULL)
		*group++ = '\0';
	if (*user == '\0' && (group == NULL || *group == '\0'))
		ret = -EINVAL;
	else if (group != NULL && *group == '\0')
		ret = -EINVAL;
	else if (*user != '\0')
		ret = parse_user(user, &o->uid);
	if (ret == 0 && group != NULL)
		ret = parse_group(group, &o->gid);
	free(user);
	return ret;
}

static int
print_group(uint32_t gid, struct buf *b)
{
	const struct group *gr = getgrgid(gid);

	return gr != NULL ? buf_printf(b, "%s", gr->gr_name) :
	    buf_printf(b, "%u", gid);
}

int
owner_print(const struct owner *o, bool group_only, struct buf *b)
{
	const struct passwd *pw;
	int ret = 0;

	if (o->uid == OWNER_NONE && o->gid == OWNER_NONE)
		return buf_printf(b, "-");
	if (o->uid != OWNER_NONE) {
		pw = getpwuid(o->uid);
		ret = pw != NULL ? buf_printf(b, "%s", pw->pw_name) :
		    buf_printf(b, "%u", o->uid);
	}
	if (o->gid == OWNER_NONE)
		return ret;
	if (!group_only)
		ret = ret ?: buf_printf(b, ":");
	return ret ?: print_group(o->gid, b);
}
