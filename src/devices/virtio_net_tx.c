/* SPDX-License-Identifier: ISC */
/*
 * virtio network device: frames from the guest, sent straight from its memory
 * unless they are short.  The header is copied and checked; what follows it is
 * the port's to judge.
 */
#include <errno.h>
#include <string.h>

#include "devices/virtio_net_local.h"

#define TCP_HEADER_LEN	20
#define UDP_HEADER_LEN	8

/* Segments need a size, and a whole header behind csum_start (5.1.6.2.1). */
static bool
tx_check_gso(const struct net_hdr *h, size_t len, unsigned allowed)
{
	uint8_t type = h->gso_type & (uint8_t)~NET_HDR_GSO_ECN;
	size_t header;

	header = type == NET_HDR_GSO_UDP_L4 ? UDP_HEADER_LEN : TCP_HEADER_LEN;
	return vnet_gso_allowed(h->gso_type, allowed) &&
	    (h->flags & NET_HDR_F_NEEDS_CSUM) != 0 && h->gso_size != 0 &&
	    /* A hint, which may be wrong, but not beyond the frame. */
	    h->hdr_len <= len && h->csum_start + header <= len;
}

/*
 * Could the driver mean this, under the offloads it has?  What a header says
 * beyond its flags is cleared.  `len` is the frame's.
 */
static bool
tx_check(struct net_hdr *h, size_t len, unsigned allowed)
{
	h->num_buffers = 0;
	h->flags &= NET_HDR_F_NEEDS_CSUM;
	if (h->flags == 0) {
		h->csum_start = h->csum_offset = 0;
	} else if ((allowed & NICPORT_CSUM) == 0 ||
	    h->csum_start < NET_ETH_LEN ||
	    (size_t)h->csum_start + h->csum_offset + 2 > len) {
		return false;
	}
	if (h->gso_type != NET_HDR_GSO_NONE)
		return tx_check_gso(h, len, allowed);
	h->hdr_len = h->gso_size = 0;
	return true;
}

/*
 * The frame of a chain: its headers or all of it copied, the rest as it lies.
 * Whom it goes to is judged by the port, so the guest must not change that.
 */
static bool
tx_take(const struct virtio_net *n, struct net_tx *tx)
{
	const struct vq_chain *c = &n->chain;
	size_t left = sizeof(tx->hdr) + NET_ETH_LEN, part;
	uint8_t *to = tx->copy;
	const struct iovec *e;

	tx->head = c->head;
	if (c->read_len < sizeof(tx->hdr) + NET_ETH_LEN ||
	    c->read_len > NICPORT_FRAME_MAX)
		return false;
	tx->len = c->read_len - sizeof(tx->hdr);
	if (c->read_len <= sizeof(tx->copy))
		left = c->read_len;
	tx->iov[0] = (struct iovec){ tx->copy, left };
	tx->niov = 1;
	for (e = c->iov; e < c->iov + c->nread; e++) {
		part = e->iov_len < left ? e->iov_len : left;
		memcpy(to, e->iov_base, part);
		to += part;
		left -= part;
		if (part < e->iov_len)
			tx->iov[tx->niov++] = (struct iovec){
				(uint8_t *)e->iov_base + part,
				e->iov_len - part
			};
	}
	return tx_check(&tx->hdr, tx->len, n->send_flags);
}

static void
tx_done(struct virtio_net *n, unsigned pair)
{
	struct net_tx *tx = &n->pair[pair].tx;

	tx->held = false;
	virtio_push(n->v, 2 * pair + 1, tx->head, 0);
}

/* Sends what is held; false if that must wait. */
static bool
tx_send(struct virtio_net *n, unsigned pair)
{
	struct net_tx *tx = &n->pair[pair].tx;
	int error;

	error = n->port->ops->send(n->port, pair, tx->iov, tx->niov);
	if (error == -EAGAIN) {
		vnet_want(n, pair, NICPORT_SEND, true);
		return false;
	}
	vnet_spend(&tx->share, tx->len);
	if (error == 0) {
		n->stats.tx_packets++;
		n->stats.tx_bytes += tx->len;
	} else {
		n->stats.tx_refused++;
	}
	tx_done(n, pair);
	return true;
}

void
vnet_tx_run(struct virtio_net *n, unsigned pair)
{
	struct net_tx *tx = &n->pair[pair].tx;

	vnet_look_at_turn(n, &tx->share);
	while (vnet_may(n, &tx->share)) {
		if (!tx->held) {
			if (!virtio_pop(n->v, 2 * pair + 1, &n->chain)) {
				vnet_want(n, pair, NICPORT_SEND, false);
				return;
			}
			tx->held = tx_take(n, tx);
		}
		if (tx->held) {
			if (!tx_send(n, pair))
				return;
		} else {
			vnet_spend(&tx->share, 0);
			n->stats.tx_malformed++;
			tx_done(n, pair);
		}
	}
	vnet_want(n, pair, NICPORT_SEND, false);
	virtio_notify(n->v, 2 * pair + 1);
}

void
vnet_tx_quiet(struct virtio_net *n, unsigned pair)
{
	struct net_tx *tx = &n->pair[pair].tx;

	if (tx->held)
		virtio_unpop(n->v, 2 * pair + 1, 1);
	tx->held = false;
}
