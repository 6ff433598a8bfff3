/* SPDX-License-Identifier: ISC */
/*
 * The credentials of a peer, from Linux: see peer.h.
 */
#include "vmm/peer.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

/* The kernel says how many there are if there is no room for them. */
static int
read_groups(struct peer *p, int fd)
{
	socklen_t len = 0;
	int ret;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &len) == 0)
		return 0;
	if (errno != ERANGE)
		return -errno;
	p->groups = malloc(len);
	if (p->groups == NULL)
		return -ENOMEM;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, p->groups, &len) != 0) {
		ret = -errno;
		peer_free(p);
		return ret;
	}
	p->ngroups = len / sizeof(*p->groups);
	return 0;
}

int
peer_read(struct peer *p, int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	*p = (struct peer){ .ngroups = 0 };
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0)
		return -errno;
	p->uid = cred.uid;
	p->gid = cred.gid;
	return read_groups(p, fd);
}
