/* SPDX-License-Identifier: ISC */
/*
 * virtio network device: the control queue (virtio 1.2, 5.1.6.5).
 *
 * A command is a class, a number, and arguments of exactly one length; the
 * answer is one byte.  Arguments are copied once, and taken over whole or not
 * at all.
 */
#include <string.h>

#include "devices/virtio_net_local.h"

#define CTL_OK			0
#define CTL_ERR			1

/* Commands of one turn, of which one that changes the port is the last. */
#define CTL_TURN		16

/* What is left of a chain's readable part. */
struct ctl_args {
	const struct iovec	*iov;
	size_t			 at;		/* in the first element */
	size_t			 left;
};

struct ctl_command {
	uint8_t		class;
	uint8_t		command;
	uint64_t	feature;
	bool		(*run)(struct virtio_net *n, unsigned arg,
			    struct ctl_args *a);
	unsigned	arg;
	bool		port;		/* system calls, which wait */
};

/* Copies, or with dst NULL skips, the next bytes; false if there are less. */
static bool
ctl_take(struct ctl_args *a, void *dst, size_t len)
{
	uint8_t *to = dst;
	size_t part;

	if (len > a->left)
		return false;
	a->left -= len;
	while (len != 0) {
		part = a->iov->iov_len - a->at;
		if (part > len)
			part = len;
		if (to != NULL) {
			memcpy(to, (uint8_t *)a->iov->iov_base + a->at, part);
			to += part;
		}
		len -= part;
		a->at += part;
		if (a->at == a->iov->iov_len) {
			a->iov++;
			a->at = 0;
		}
	}
	return true;
}

/* Takes the last of the arguments. */
static bool
ctl_take_last(struct ctl_args *a, void *dst, size_t len)
{
	return ctl_take(a, dst, len) && a->left == 0;
}

static bool
ctl_mode(struct virtio_net *n, unsigned mode, struct ctl_args *a)
{
	uint8_t bit = (uint8_t)(1u << mode), on;

	if (!ctl_take_last(a, &on, sizeof(on)))
		return false;
	if (on != 0)
		n->filter.mode |= bit;
	else
		n->filter.mode &= (uint8_t)~bit;
	return true;
}

/* One table: what we have no room for makes it let all through. */
static bool
ctl_take_macs(struct ctl_args *a, struct net_macs *t)
{
	uint32_t count;

	memset(t, 0, sizeof(*t));
	if (!ctl_take(a, &count, sizeof(count)))
		return false;
	if (count > NET_MACS_MAX) {
		t->overflow = 1;
		return ctl_take(a, NULL, (size_t)count * 6);
	}
	t->n = (uint8_t)count;
	return ctl_take(a, t->mac, (size_t)count * 6);
}

static bool
ctl_mac_table(struct virtio_net *n, unsigned arg, struct ctl_args *a)
{
	struct net_macs uni, multi;

	(void)arg;
	if (!ctl_take_macs(a, &uni) || !ctl_take_macs(a, &multi) ||
	    a->left != 0)
		return false;
	n->filter.uni = uni;
	n->filter.multi = multi;
	return true;
}

static bool
ctl_mac_addr(struct virtio_net *n, unsigned arg, struct ctl_args *a)
{
	uint8_t mac[6];

	(void)arg;
	if (!ctl_take_last(a, mac, sizeof(mac)) || (mac[0] & 1) != 0)
		return false;
	vnet_set_mac(n, mac);
	return true;
}

static bool
ctl_vlan(struct virtio_net *n, unsigned on, struct ctl_args *a)
{
	uint8_t *byte, bit;
	uint16_t id;

	if (!ctl_take_last(a, &id, sizeof(id)) || id >= NET_VLANS)
		return false;
	byte = &n->filter.vlan[id / 8];
	bit = (uint8_t)(1u << id % 8);
	*byte = on ? *byte | bit : *byte & (uint8_t)~bit;
	return true;
}

static bool
ctl_announced(struct virtio_net *n, unsigned arg, struct ctl_args *a)
{
	(void)arg;
	if (a->left != 0)
		return false;
	vnet_announced(n);
	return true;
}

static bool
ctl_pairs(struct virtio_net *n, unsigned arg, struct ctl_args *a)
{
	uint16_t pairs;

	(void)arg;
	return ctl_take_last(a, &pairs, sizeof(pairs)) && pairs >= 1 &&
	    pairs <= n->params.pairs && vnet_set_pairs(n, pairs) == 0;
}

static bool
ctl_offloads(struct virtio_net *n, unsigned arg, struct ctl_args *a)
{
	uint64_t offloads;

	(void)arg;
	if (!ctl_take_last(a, &offloads, sizeof(offloads)) ||
	    (offloads & ~(n->features & NET_GUEST_OFFLOADS)) != 0 ||
	    vnet_set_offloads(n, offloads) != 0)
		return false;
	n->offloads_set = true;
	return true;
}

static const struct ctl_command ctl_commands[] = {
	{ 0, 0, NET_F_CTRL_RX, ctl_mode, NET_MODE_PROMISC, false },
	{ 0, 1, NET_F_CTRL_RX, ctl_mode, NET_MODE_ALLMULTI, false },
	{ 0, 2, NET_F_CTRL_RX_EXTRA, ctl_mode, NET_MODE_ALLUNI, false },
	{ 0, 3, NET_F_CTRL_RX_EXTRA, ctl_mode, NET_MODE_NOMULTI, false },
	{ 0, 4, NET_F_CTRL_RX_EXTRA, ctl_mode, NET_MODE_NOUNI, false },
	{ 0, 5, NET_F_CTRL_RX_EXTRA, ctl_mode, NET_MODE_NOBCAST, false },
	{ 1, 0, NET_F_CTRL_RX, ctl_mac_table, 0, false },
	{ 1, 1, NET_F_CTRL_MAC_ADDR, ctl_mac_addr, 0, false },
	{ 2, 0, NET_F_CTRL_VLAN, ctl_vlan, true, false },
	{ 2, 1, NET_F_CTRL_VLAN, ctl_vlan, false, false },
	{ 3, 0, NET_F_GUEST_ANNOUNCE, ctl_announced, 0, false },
	{ 4, 0, NET_F_MQ, ctl_pairs, 0, true },
	{ 5, 0, NET_F_CTRL_GUEST_OFFLOADS, ctl_offloads, 0, true },
};
#define CTL_NCOMMANDS	(sizeof(ctl_commands) / sizeof(ctl_commands[0]))

/* Adds to what was done in this turn. */
static bool
ctl_command(struct virtio_net *n, struct ctl_args *a, unsigned *done)
{
	const struct ctl_command *c;
	uint8_t head[2];

	++*done;
	if (!ctl_take(a, head, sizeof(head)))
		return false;
	for (c = ctl_commands; c < ctl_commands + CTL_NCOMMANDS; c++) {
		if (c->class != head[0] || c->command != head[1])
			continue;
		if (c->port)
			*done = CTL_TURN;
		return (n->features & c->feature) != 0 &&
		    c->run(n, c->arg, a);
	}
	return false;
}

void
vnet_ctl_run(struct virtio_net *n)
{
	struct vq_chain *c = &n->chain;
	struct ctl_args a;
	unsigned done = 0;
	uint8_t *ack;

	while (done < CTL_TURN) {
		if (!virtio_pop(n->v, n->ctl, c))
			return;
		if (c->nwrite == 0) {
			virtio_fail(n->v,
			    "a command has no room for an answer");
			return;
		}
		a = (struct ctl_args){ .iov = c->iov, .left = c->read_len };
		ack = c->iov[c->nread].iov_base;
		*ack = ctl_command(n, &a, &done) ? CTL_OK : CTL_ERR;
		virtio_push(n->v, n->ctl, c->head, 1);
	}
	virtio_notify(n->v, n->ctl);
}
