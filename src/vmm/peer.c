/* SPDX-License-Identifier: ISC */
/*
 * What a peer may do: see peer.h.
 */
#include "vmm/peer.h"

#include <stdlib.h>
#include <unistd.h>

#include "vmm/config.h"

void
peer_free(struct peer *p)
{
	free(p->groups);
	p->groups = NULL;
}

static bool
peer_in_group(const struct peer *p, gid_t gid)
{
	size_t i;

	if (gid == OWNER_NONE)
		return false;
	for (i = 0; i < p->ngroups; i++)
		if (p->groups[i] == gid)
			return true;
	return p->gid == gid;
}

bool
peer_is_admin(const struct peer *p, const struct config *c)
{
	return p->uid == 0 || p->uid == geteuid() ||
	    peer_in_group(p, c->group.gid);
}

bool
peer_owns(const struct peer *p, const struct vm_config *vm)
{
	if (vm->owner.uid != OWNER_NONE && vm->owner.uid == p->uid)
		return true;
	return peer_in_group(p, vm->owner.gid);
}

bool
peer_owns_any(const struct peer *p, const struct config *c)
{
	unsigned i;

	for (i = 0; i < c->nvms; i++)
		if (peer_owns(p, &c->vm[i]))
			return true;
	return false;
}
