/* SPDX-License-Identifier: ISC */
/*
 * virtio network device: frames to the guest, received straight into its
 * buffers.
 *
 * How long a frame is shows when it is there.  So with mergeable buffers as
 * many are held as the longest frame takes; what they lack is lent by the
 * spill, where the end of a frame waits until the driver brings more.
 *
 * So many elements cost the kernel more than a short frame does.  While frames
 * are short, they are received into the spill, one element, and copied.
 */
#include <stddef.h>
#include <string.h>

#include "devices/virtio_net_local.h"

/* What is looked at of a frame: the header and Ethernet's, with a tag. */
#define RX_LOOK		(NICPORT_HEADER + NET_ETH_LEN + 4)

/* A frame that is copied rather than received where it belongs. */
#define RX_SHORT	4096

/* Copies out of elements that have that many bytes. */
static void
rx_look(const struct iovec *e, uint8_t *dst, size_t left)
{
	size_t part;

	for (; left != 0; e++) {
		part = e->iov_len < left ? e->iov_len : left;
		memcpy(dst, e->iov_base, part);
		dst += part;
		left -= part;
	}
}

/* Copies to byte `at` of elements that have room for it. */
static void
rx_put(const struct iovec *e, size_t at, const void *src, size_t left)
{
	const uint8_t *from = src;
	size_t part;

	for (; left != 0; e++) {
		if (at >= e->iov_len) {
			at -= e->iov_len;
			continue;
		}
		part = e->iov_len - at < left ? e->iov_len - at : left;
		memcpy((uint8_t *)e->iov_base + at, from, part);
		from += part;
		left -= part;
		at = 0;
	}
}

/* Makes room for one more chain of any length, if there can be. */
static bool
rx_make_room(struct net_rx *rx)
{
	rx->end -= rx->first;
	rx->iov_end -= rx->iov_first;
	memmove(rx->buf, rx->buf + rx->first, rx->end * sizeof(rx->buf[0]));
	memmove(rx->iov, rx->iov + rx->iov_first,
	    rx->iov_end * sizeof(rx->iov[0]));
	rx->first = rx->iov_first = 0;
	return rx->iov_end + VQ_CHAIN_MAX <= NET_RX_IOV;
}

static inline bool
rx_room(struct net_rx *rx)
{
	return rx->iov_end + VQ_CHAIN_MAX <= NET_RX_IOV || rx_make_room(rx);
}

/* Every buffer has an element, so these never outnumber those. */
static void
rx_add(struct net_rx *rx, const struct vq_chain *c)
{
	rx->buf[rx->end++] = (struct net_buf){
		.head = c->head, .niov = c->nwrite, .len = c->write_len,
	};
	rx->iov[rx->iov_end] = c->iov[0];
	if (c->nwrite > 1)
		memcpy(rx->iov + rx->iov_end, c->iov,
		    c->nwrite * sizeof(c->iov[0]));
	rx->iov_end += c->nwrite;
	rx->space += c->write_len;
}

/* Takes buffers until they hold `need` bytes, or there are no more. */
static void
rx_gather(struct virtio_net *n, unsigned pair, size_t need)
{
	struct net_rx *rx = &n->pair[pair].rx;
	struct vq_chain *c = &n->chain;

	while (rx->space < need && rx_room(rx)) {
		if (!virtio_pop(n->v, 2 * pair, c))
			return;
		if (c->nread != 0 || c->nwrite == 0) {
			virtio_fail(n->v,
			    "a receive buffer is not to be written");
			return;
		}
		rx_add(rx, c);
	}
}

/* Gives a frame of `len` bytes, all of which the buffers hold. */
static void
rx_deliver(struct virtio_net *n, unsigned pair, size_t len)
{
	static const uint8_t no_flags;
	struct net_rx *rx = &n->pair[pair].rx;
	const struct iovec *iov = &rx->iov[rx->iov_first];
	uint16_t used = 0;
	struct net_buf *b;
	size_t part;

	n->stats.rx_packets++;
	n->stats.rx_bytes += len - NICPORT_HEADER;
	if ((n->recv_flags & NICPORT_CSUM) == 0)
		rx_put(iov, offsetof(struct net_hdr, flags), &no_flags, 1);
	do {
		b = &rx->buf[rx->first++];
		part = b->len < len ? b->len : len;
		virtio_push(n->v, 2 * pair, b->head, (uint32_t)part);
		len -= part;
		rx->space -= b->len;
		rx->iov_first += b->niov;
		used++;
	} while (len != 0);
	/* It is shown to the driver only when this turn is over. */
	rx_put(iov, offsetof(struct net_hdr, num_buffers), &used,
	    sizeof(used));
	if (rx->first == rx->end)
		rx->first = rx->end = rx->iov_first = rx->iov_end = 0;
}

/* The rest of a frame that waits; false if there is still no room for it. */
static bool
rx_resume(struct virtio_net *n, unsigned pair)
{
	struct net_rx *rx = &n->pair[pair].rx;

	if (rx->space >= rx->waiting) {
		rx_put(&rx->iov[rx->iov_first], rx->waiting_at, rx->spill,
		    rx->waiting - rx->waiting_at);
		rx_deliver(n, pair, rx->waiting);
	} else if (rx->end - rx->first ==
	    virtio_queue_size(n->v, 2 * pair) || !rx_room(rx)) {
		/* All that the driver has is here: no more will come. */
		n->stats.rx_too_long++;
	} else {
		return false;
	}
	rx->waiting = 0;
	return true;
}

/* Does the guest understand the header, and want the frame? */
static bool
rx_check(struct virtio_net *n, const struct iovec *iov, size_t len)
{
	uint8_t look[RX_LOOK], mac[8];
	struct net_hdr h;
	uint64_t own;

	if (len < NICPORT_HEADER + NET_ETH_LEN || len > NICPORT_FRAME_MAX) {
		n->stats.rx_malformed++;
		return false;
	}
	if (len > sizeof(look))
		len = sizeof(look);
	rx_look(iov, look, len);
	memcpy(&h, look, sizeof(h));
	/* Frames that have waited may be of a time with other offloads. */
	if (((h.flags & NET_HDR_F_NEEDS_CSUM) != 0 &&
	    (n->recv_flags & NICPORT_CSUM) == 0) ||
	    !vnet_gso_allowed(h.gso_type, n->recv_flags)) {
		n->stats.rx_malformed++;
		return false;
	}
	own = atomic_load_explicit(&n->mac, memory_order_relaxed);
	memcpy(mac, &own, sizeof(own));
	if (!vnet_filter_pass(&n->filter, mac,
	    (n->features & NET_F_CTRL_VLAN) != 0, look + NICPORT_HEADER,
	    len - NICPORT_HEADER)) {
		n->stats.rx_filtered++;
		return false;
	}
	return true;
}

/*
 * What frames are like changes seldom, but short ones are among long ones: so
 * it is up at once, and down by and by.
 */
static void
rx_expect(struct net_rx *rx, size_t len)
{
	if (len >= rx->likely)
		rx->likely = len;
	else
		rx->likely -= (rx->likely - len + 7) / 8;
}

/* Keeps a frame that lies in the spill from byte `at` on, or loses it. */
static void
rx_keep(struct virtio_net *n, struct net_rx *rx, size_t len, size_t at)
{
	if ((n->features & NET_F_MRG_RXBUF) == 0) {
		n->stats.rx_too_long++;
		return;
	}
	rx->waiting = len;
	rx->waiting_at = at;
}

/* Receives one frame into what is held; false if there is none. */
static bool
rx_receive(struct virtio_net *n, unsigned pair)
{
	struct net_rx *rx = &n->pair[pair].rx;
	struct iovec spill = { rx->spill, sizeof(rx->spill) };
	struct iovec *held = &rx->iov[rx->iov_first], *iov = held;
	unsigned niov = rx->iov_end - rx->iov_first;
	bool copy = rx->likely <= RX_SHORT;
	ssize_t len;

	if (copy) {
		iov = &spill;
		niov = 1;
	} else if (rx->space <= NICPORT_FRAME_MAX) {
		iov[niov++] = (struct iovec){
			rx->spill, NICPORT_FRAME_MAX + 1 - rx->space
		};
	}
	len = n->port->ops->recv(n->port, pair, iov, niov);
	if (len < 0)
		return false;
	vnet_spend(&rx->share, (size_t)len);
	rx_expect(rx, (size_t)len);
	/* Buffers of a frame that is not delivered serve for the next. */
	if (!rx_check(n, iov, (size_t)len))
		return true;
	if ((size_t)len > rx->space) {
		rx_keep(n, rx, (size_t)len, copy ? 0 : rx->space);
		return true;
	}
	if (copy)
		rx_put(held, 0, rx->spill, (size_t)len);
	rx_deliver(n, pair, (size_t)len);
	return true;
}

void
vnet_rx_run(struct virtio_net *n, unsigned pair)
{
	struct net_rx *rx = &n->pair[pair].rx;
	bool wait = false;

	vnet_look_at_turn(n, &rx->share);
	while (!wait && vnet_may(n, &rx->share)) {
		rx_gather(n, pair, rx->waiting > n->rx_need ? rx->waiting :
		    n->rx_need);
		if (rx->space == 0 || !vnet_alive(n) ||
		    (rx->waiting != 0 && !rx_resume(n, pair))) {
			/* Goes on when the driver notifies. */
			vnet_want(n, pair, NICPORT_RECV, false);
			return;
		}
		wait = rx->space != 0 && !rx_receive(n, pair);
	}
	vnet_want(n, pair, NICPORT_RECV, true);
	/* The port has it no more, and may have nothing else to call for. */
	if (rx->waiting != 0)
		virtio_notify(n->v, 2 * pair);
}

void
vnet_rx_forget(struct virtio_net *n, unsigned pair)
{
	struct net_rx *rx = &n->pair[pair].rx;

	if (rx->waiting == 0)
		return;
	rx->waiting = 0;
	n->stats.rx_malformed++;
	virtio_notify(n->v, 2 * pair);
}

void
vnet_rx_quiet(struct virtio_net *n, unsigned pair)
{
	struct net_rx *rx = &n->pair[pair].rx;

	virtio_unpop(n->v, 2 * pair, rx->end - rx->first);
	if (rx->waiting != 0)
		n->stats.rx_too_long++;
	rx->first = rx->end = rx->iov_first = rx->iov_end = 0;
	rx->space = rx->waiting = 0;
}
