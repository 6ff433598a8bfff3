/* SPDX-License-Identifier: ISC */
/*
 * virtio network device: which frames the guest wants (virtio 1.2, 5.1.6.5.1
 * and .3).  Pure functions.
 */
#include <string.h>

#include "devices/virtio_net_local.h"

#define ETH_TYPE_VLAN	0x8100u

void
vnet_filter_reset(struct net_filter *f)
{
	memset(f, 0, sizeof(*f));
	f->mode = 1u << NET_MODE_PROMISC;
}

static bool
filter_mode(const struct net_filter *f, enum net_mode mode)
{
	return (f->mode >> mode & 1) != 0;
}

static bool
filter_find(const struct net_macs *t, const uint8_t *mac)
{
	unsigned i;

	if (t->overflow != 0)
		return true;
	for (i = 0; i < t->n; i++)
		if (memcmp(t->mac[i], mac, 6) == 0)
			return true;
	return false;
}

static bool
filter_address(const struct net_filter *f, const uint8_t *own,
    const uint8_t *to)
{
	static const uint8_t broadcast[6] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff
	};

	if ((to[0] & 1) == 0)
		return !filter_mode(f, NET_MODE_NOUNI) &&
		    (filter_mode(f, NET_MODE_ALLUNI) ||
		    memcmp(to, own, 6) == 0 || filter_find(&f->uni, to));
	if (memcmp(to, broadcast, 6) == 0)
		return !filter_mode(f, NET_MODE_NOBCAST);
	return !filter_mode(f, NET_MODE_NOMULTI) &&
	    (filter_mode(f, NET_MODE_ALLMULTI) || filter_find(&f->multi, to));
}

/* What has no tag is of no VLAN, and passes. */
static bool
filter_vlan(const struct net_filter *f, const uint8_t *frame, size_t len)
{
	unsigned id;

	if (len < NET_ETH_LEN + 4 ||
	    ((unsigned)frame[12] << 8 | frame[13]) != ETH_TYPE_VLAN)
		return true;
	id = ((unsigned)frame[14] << 8 | frame[15]) % NET_VLANS;
	return (f->vlan[id / 8] >> id % 8 & 1) != 0;
}

bool
vnet_filter_pass(const struct net_filter *f, const uint8_t *mac, bool vlans,
    const uint8_t *frame, size_t len)
{
	if (filter_mode(f, NET_MODE_PROMISC))
		return true;
	return (!vlans || filter_vlan(f, frame, len)) &&
	    filter_address(f, mac, frame);
}

static bool
filter_macs_ok(const struct net_macs *t)
{
	return t->n <= NET_MACS_MAX && t->overflow <= 1;
}

bool
vnet_filter_ok(const struct net_filter *f)
{
	return f->mode >> NET_MODES == 0 && filter_macs_ok(&f->uni) &&
	    filter_macs_ok(&f->multi);
}
