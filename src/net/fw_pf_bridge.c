/* SPDX-License-Identifier: ISC */
/*
 * The firewall for veb(4), by lines of ifconfig(8): what pf does not see of a
 * frame.  The first rule of a port that matches decides.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "net/fw.h"

struct bridge {
	const struct fw_policy	*p;
	const struct fw_rules	*r;
	struct buf		*b;
	const struct fw_nic	*n;
	char			 veb[IFNAME_SIZE];
	char			 mac[18];
};

/* The switch has its number in common with the host's port: veb3, vport3. */
static void
name_veb(const struct fw_switch *sw, char to[IFNAME_SIZE])
{
	if (strncmp(sw->iface, "vport", 5) == 0)
		snprintf(to, IFNAME_SIZE, "veb%s", sw->iface + 5);
	else
		snprintf(to, IFNAME_SIZE, "%s", sw->iface);
}

static bool
checks(const struct bridge *w, uint32_t nic, enum fw_check check,
    const struct fw_rule **rp)
{
	const struct fw_rule *r;

	for (r = w->r->v; r < w->r->v + w->r->n; r++)
		if (r->stage == FW_FRAME && r->check == check &&
		    (r->nic == nic || (r->nic == FW_ALL &&
		    (r->sw == FW_ALL || r->sw == w->p->nic[nic].sw)))) {
			*rp = r;
			return true;
		}
	return false;
}

static int
pass_arp(const struct bridge *w, const uint8_t ip[4])
{
	return buf_printf(w->b, "ifconfig %s rule pass in on %s src %s arp "
	    "sha %s spa %u.%u.%u.%u\n", w->veb, w->n->tap, w->mac, w->mac,
	    ip[0], ip[1], ip[2], ip[3]);
}

/* A sender without an address asks whether anyone has the one it wants. */
static int
write_arp(const struct bridge *w, const struct fw_rule *r)
{
	static const uint8_t none[4];
	const struct fw_table *t = &w->r->table[r->own];
	int ret = pass_arp(w, none);
	size_t i;

	for (i = 0; i < t->n; i++)
		if (!t->v[i].ipv6)
			ret = ret ?: pass_arp(w, t->v[i].bytes);
	return ret ?: buf_printf(w->b, "ifconfig %s rule block in on %s arp\n",
	    w->veb, w->n->tap);
}

static int
write_nic(struct bridge *w, uint32_t nic)
{
	const struct fw_nic *n = &w->p->nic[nic];
	const struct fw_rule *r;
	int ret;

	w->n = n;
	name_veb(&w->p->sw[n->sw], w->veb);
	snprintf(w->mac, sizeof(w->mac), "%02x:%02x:%02x:%02x:%02x:%02x",
	    n->mac[0], n->mac[1], n->mac[2], n->mac[3], n->mac[4], n->mac[5]);
	ret = buf_printf(w->b, "# %s, NIC %u\nifconfig %s flushrule %s\n",
	    n->guest, n->number, w->veb, n->tap);
	if (checks(w, nic, FW_CHECK_TYPE, &r))
		ret = ret ?: buf_printf(w->b, "ifconfig %s blocknonip %s\n"
		    "ifconfig %s rule block in on %s rarp\n", w->veb, n->tap,
		    w->veb, n->tap);
	if (checks(w, nic, FW_CHECK_ARP, &r))
		ret = ret ?: write_arp(w, r);
	if (checks(w, nic, FW_CHECK_MAC, &r))
		ret = ret ?: buf_printf(w->b, "ifconfig %s rule pass in on %s "
		    "src %s\nifconfig %s rule block in on %s\n", w->veb,
		    n->tap, w->mac, w->veb, n->tap);
	return ret;
}

int
fw_pf_bridge_write(const struct fw_policy *p, const struct fw_rules *r,
    struct buf *b, char *err, size_t errlen)
{
	struct bridge w = { .p = p, .r = r, .b = b };
	uint32_t i;
	int ret = 0;

	for (i = 0; i < p->nnics && ret == 0; i++)
		ret = write_nic(&w, i);
	if (ret != 0)
		snprintf(err, errlen, "rules of the bridge: %s",
		    strerror(-ret));
	return ret;
}
