/* SPDX-License-Identifier: ISC */
/*
 * Who is at the other end of the control socket, and what that one may do.
 */
#ifndef VMMD_PEER_H
#define VMMD_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct config;
struct vm_config;

struct peer {
	uid_t	 uid;
	gid_t	 gid;
	gid_t	*groups;	/* the others */
	size_t	 ngroups;
};

/* As the kernel says it was when the peer connected: 0 or -errno. */
int peer_read(struct peer *p, int fd);
void peer_free(struct peer *p);

/* Root, the user the daemon runs as, and [daemon] group may do everything. */
bool peer_is_admin(const struct peer *p, const struct config *c);

/* Does a guest belong to the peer, or to a group of it? */
bool peer_owns(const struct peer *p, const struct vm_config *vm);

/* Does any guest? */
bool peer_owns_any(const struct peer *p, const struct config *c);

#endif /* VMMD_PEER_H */
