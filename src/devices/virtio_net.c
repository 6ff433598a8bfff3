/* SPDX-License-Identifier: ISC */
/*
 * virtio network device: see virtio_net.h.
 *
 * All on the loop thread, except that the configuration space is read by
 * vCPUs, and so made of atomics.  Queues 2n and 2n + 1 receive and send by
 * queue n of the port; the control queue follows.
 */
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "devices/state.h"
#include "devices/virtio_net_local.h"

#define NET_DEVICE_ID		1
#define NET_PCI_CLASS		0x020000	/* network, Ethernet */
#define NET_STATE_VERSION	1
#define NET_NO_QUEUE		UINT_MAX

/*
 * A turn's share of one direction of a device, of which each queue has its own
 * part, one frame at least: what bounds how long the others wait.
 */
#define NET_TURN_PACKETS	64
#define NET_TURN_BYTES		(512u << 10)
_Static_assert(NET_TURN_PACKETS >= VIRTIO_NET_PAIRS_MAX, "a queue has none");

/* struct virtio_net_config (5.1.4), as far as the offered features fill it */
struct net_config {
	uint8_t		mac[6];
	uint16_t	status;
	uint16_t	max_virtqueue_pairs;
	uint16_t	mtu;
};
_Static_assert(sizeof(struct net_config) == 12, "net_config");

/* What each offload of a port is among the features, both ways. */
static const struct {
	unsigned	flag;
	uint64_t	host;		/* frames from the guest */
	uint64_t	guest;		/* frames to the guest */
} net_offloads[] = {
	{ NICPORT_CSUM, NET_F_CSUM, NET_F_GUEST_CSUM },
	{ NICPORT_TSO4, NET_F_HOST_TSO4, NET_F_GUEST_TSO4 },
	{ NICPORT_TSO6, NET_F_HOST_TSO6, NET_F_GUEST_TSO6 },
	{ NICPORT_ECN, NET_F_HOST_ECN, NET_F_GUEST_ECN },
	{ NICPORT_USO, NET_F_HOST_USO, NET_F_GUEST_USO4 | NET_F_GUEST_USO6 },
};
#define NET_NOFFLOADS	(sizeof(net_offloads) / sizeof(net_offloads[0]))

/* The device's state as it is saved; that of the port is its own. */
struct net_state {
	uint64_t		offloads;
	uint16_t		pairs;
	uint16_t		max_pairs;
	uint16_t		mtu;		/* that the driver has found */
	uint8_t			mac[6];
	uint8_t			offloads_set;
	uint8_t			announce;
	uint8_t			told;		/* status, when last told */
	struct net_filter	filter;
	uint8_t			pad[4];
};
_Static_assert(sizeof(struct net_state) == 1312, "no hidden padding");

static const struct virtio_dev_ops net_ops;

/* The offloads of a port that features stand for, one way. */
static unsigned
net_flags(uint64_t features, bool guest)
{
	unsigned flags = 0;
	uint64_t bits;
	size_t i;

	for (i = 0; i < NET_NOFFLOADS; i++) {
		bits = guest ? net_offloads[i].guest : net_offloads[i].host;
		if ((features & bits) == bits)
			flags |= net_offloads[i].flag;
	}
	/* ECN stands on segments of TCP, all on the checksum (5.1.3.1). */
	if ((flags & (NICPORT_TSO4 | NICPORT_TSO6)) == 0)
		flags &= ~NICPORT_ECN;
	return (flags & NICPORT_CSUM) != 0 ? flags : 0;
}

bool
vnet_gso_allowed(uint8_t gso_type, unsigned flags)
{
	bool ecn = (gso_type & NET_HDR_GSO_ECN) != 0;

	if (ecn && (flags & NICPORT_ECN) == 0)
		return false;
	switch (gso_type & ~NET_HDR_GSO_ECN) {
	case NET_HDR_GSO_NONE:
		return !ecn;
	case NET_HDR_GSO_TCPV4:
		return (flags & NICPORT_TSO4) != 0;
	case NET_HDR_GSO_TCPV6:
		return (flags & NICPORT_TSO6) != 0;
	case NET_HDR_GSO_UDP_L4:
		return !ecn && (flags & NICPORT_USO) != 0;
	default:
		return false;
	}
}

bool
vnet_alive(const struct virtio_net *n)
{
	return (virtio_status(n->v) & VIRTIO_S_NEEDS_RESET) == 0;
}

void
vnet_look_at_turn(const struct virtio_net *n, struct net_share *s)
{
	unsigned turn = virtio_turn(n->v);

	if (s->turn != turn)
		*s = (struct net_share){ .turn = turn };
}

void
vnet_want(struct virtio_net *n, unsigned pair, unsigned what, bool on)
{
	struct net_pair *p = &n->pair[pair];
	unsigned wanted = on ? p->wanted | what : p->wanted & ~what;

	if (wanted == p->wanted)
		return;
	p->wanted = wanted;
	n->port->ops->want(n->port, pair, wanted);
}

/* A pair rests: what it holds is the driver's again. */
static void
net_quiet(struct virtio_net *n, unsigned pair)
{
	vnet_rx_quiet(n, pair);
	vnet_tx_quiet(n, pair);
	vnet_want(n, pair, NICPORT_RECV | NICPORT_SEND, false);
}

static void
net_divide_shares(struct virtio_net *n)
{
	n->share_packets = NET_TURN_PACKETS / n->pairs;
	n->share_bytes = NET_TURN_BYTES / n->pairs;
}

int
vnet_set_pairs(struct virtio_net *n, unsigned pairs)
{
	unsigned old = n->pairs, i;
	int error;

	for (i = pairs; i < old; i++)
		net_quiet(n, i);
	error = n->port->ops->queues(n->port, pairs);
	if (error == 0)
		n->pairs = pairs;
	net_divide_shares(n);
	for (i = old < pairs ? old : pairs; i < n->pairs; i++) {
		virtio_notify(n->v, 2 * i);
		virtio_notify(n->v, 2 * i + 1);
	}
	return error;
}

/*
 * How much to hold before a frame is received.  Without mergeable buffers it
 * is one chain: whatever that holds.
 */
static size_t
net_rx_need(const struct virtio_net *n)
{
	if ((n->features & NET_F_MRG_RXBUF) == 0)
		return 1;
	if ((n->recv_flags &
	    (NICPORT_TSO4 | NICPORT_TSO6 | NICPORT_USO)) != 0)
		return NICPORT_FRAME_MAX;
	return NICPORT_FRAME_MAX - VIRTIO_NET_MTU_MAX + atomic_load(&n->mtu);
}

int
vnet_set_offloads(struct virtio_net *n, uint64_t offloads)
{
	unsigned flags = net_flags(offloads & n->features, true);
	bool less = (n->recv_flags & ~flags) != 0;
	unsigned i;
	int error;

	error = n->port->ops->offload(n->port, flags);
	if (error != 0)
		return error;
	for (i = 0; less && i < n->pairs; i++)
		vnet_rx_forget(n, i);
	n->offloads = offloads;
	n->recv_flags = flags;
	n->rx_need = net_rx_need(n);
	return 0;
}

/* Tells the driver of a status that it does not know. */
static void
net_tell(struct virtio_net *n)
{
	uint16_t status = atomic_load(&n->status);

	if (!n->running || (n->features & NET_F_STATUS) == 0 ||
	    status == n->told)
		return;
	n->told = status;
	virtio_config_changed(n->v);
}

void
vnet_announced(struct virtio_net *n)
{
	atomic_fetch_and(&n->status, (uint16_t)~NET_S_ANNOUNCE);
	n->told &= (uint16_t)~NET_S_ANNOUNCE;
}

static void
net_store_mac(struct virtio_net *n, const uint8_t *mac)
{
	uint64_t bytes = 0;

	memcpy(&bytes, mac, 6);
	atomic_store(&n->mac, bytes);
}

void
vnet_set_mac(struct virtio_net *n, const uint8_t *mac)
{
	net_store_mac(n, mac);
	virtio_config_changed(n->v);
}

static void
net_reset(void *dev)
{
	struct virtio_net *n = dev;

	net_store_mac(n, n->params.mac);
	atomic_store(&n->mtu, n->params.mtu);
	vnet_announced(n);
	n->told = atomic_load(&n->status);
	n->pairs = 1;
	n->offloads_set = false;
	n->offloads = 0;
	n->features = 0;
	vnet_filter_reset(&n->filter);
}

struct virtio_net *
virtio_net_create(struct nicport *port, const struct virtio_net_params *params)
{
	struct virtio_net *n;

	assert(params->pairs >= 1 && params->pairs <= VIRTIO_NET_PAIRS_MAX);
	assert(params->mtu >= VIRTIO_NET_MTU_MIN);
	n = calloc(1, sizeof(*n) + params->pairs * sizeof(n->pair[0]));
	if (n == NULL)
		return NULL;
	n->ops = net_ops;
	n->ops.nqueues = (uint16_t)(2 * params->pairs + 1);
	n->port = port;
	n->params = *params;
	net_reset(n);
	return n;
}

void
virtio_net_destroy(struct virtio_net *n)
{
	if (n == NULL)
		return;
	assert(!n->running);
	free(n);
}

const struct virtio_dev_ops *
virtio_net_ops(const struct virtio_net *n)
{
	return &n->ops;
}

static uint64_t
net_features(const void *dev)
{
	const struct virtio_net *n = dev;
	uint64_t features = NET_F_MTU | NET_F_MAC | NET_F_MRG_RXBUF |
	    NET_F_STATUS | NET_F_CTRL_VQ | NET_F_CTRL_RX | NET_F_CTRL_VLAN |
	    NET_F_CTRL_RX_EXTRA | NET_F_GUEST_ANNOUNCE | NET_F_CTRL_MAC_ADDR;
	size_t i;

	if (n->params.pairs > 1)
		features |= NET_F_MQ;
	if (n->port->offloads != 0)
		features |= NET_F_CTRL_GUEST_OFFLOADS;
	for (i = 0; i < NET_NOFFLOADS; i++)
		if ((n->port->offloads & net_offloads[i].flag) != 0)
			features |= net_offloads[i].host |
			    net_offloads[i].guest;
	return features;
}

static uint32_t
net_config_read(const void *dev, uint32_t off, unsigned size)
{
	const struct virtio_net *n = dev;
	uint64_t mac = atomic_load(&n->mac);
	struct net_config c = {
		.status = atomic_load(&n->status),
		.max_virtqueue_pairs = (uint16_t)n->params.pairs,
		.mtu = atomic_load(&n->mtu),
	};
	uint32_t val = 0;

	memcpy(c.mac, &mac, sizeof(c.mac));
	memcpy(&val, (const uint8_t *)&c + off, size);
	return val;
}

/* Where the driver has its control queue (5.1.2). */
static unsigned
net_ctl_queue(const struct virtio_net *n)
{
	if ((n->features & NET_F_CTRL_VQ) == 0)
		return NET_NO_QUEUE;
	return (n->features & NET_F_MQ) != 0 ? 2 * n->params.pairs : 2;
}

static void
net_start(void *dev, struct virtio *v)
{
	struct virtio_net *n = dev;

	n->v = v;
	n->running = true;
	n->features = virtio_features(v);
	n->ctl = net_ctl_queue(n);
	n->send_flags = net_flags(n->features, false);
	net_divide_shares(n);
	if (n->port->ops->queues(n->port, n->pairs) != 0 ||
	    vnet_set_offloads(n, n->offloads_set ? n->offloads :
	    n->features & NET_GUEST_OFFLOADS) != 0)
		virtio_fail(v, "its port cannot do what was agreed");
	net_tell(n);
}

/* The queues of pairs that are not in use rest, whatever is in them. */
static void
net_notify(void *dev, unsigned queue)
{
	struct virtio_net *n = dev;
	unsigned pair = queue / 2;

	if (queue == n->ctl)
		vnet_ctl_run(n);
	else if (pair >= n->pairs)
		return;
	else if (queue % 2 == 0)
		vnet_rx_run(n, pair);
	else if ((n->pair[pair].wanted & NICPORT_SEND) == 0)
		vnet_tx_run(n, pair);
}

static void
net_stop(void *dev)
{
	struct virtio_net *n = dev;
	unsigned i;

	for (i = 0; i < n->pairs; i++)
		net_quiet(n, i);
	n->running = false;
	virtio_stopped(n->v);
}

static void
net_readable(void *nic, unsigned queue)
{
	vnet_rx_run(nic, queue);
}

static void
net_writable(void *nic, unsigned queue)
{
	vnet_tx_run(nic, queue);
}

static void
net_link(void *nic, bool up)
{
	struct virtio_net *n = nic;

	if (up)
		atomic_fetch_or(&n->status, NET_S_LINK_UP);
	else
		atomic_fetch_and(&n->status, (uint16_t)~NET_S_LINK_UP);
	net_tell(n);
}

static const struct nic_ops net_nic_ops = {
	.readable = net_readable,
	.writable = net_writable,
	.link = net_link,
};

void
virtio_net_attach(struct virtio_net *n)
{
	n->port->ops->attach(n->port, &net_nic_ops, n);
}

void
virtio_net_detach(struct virtio_net *n)
{
	assert(!n->running);
	n->port->ops->attach(n->port, NULL, NULL);
}

void
virtio_net_announce(struct virtio_net *n)
{
	if ((n->features & NET_F_GUEST_ANNOUNCE) == 0)
		return;
	atomic_fetch_or(&n->status, NET_S_ANNOUNCE);
	net_tell(n);
}

void
virtio_net_set_mtu(struct virtio_net *n, uint16_t mtu)
{
	assert(mtu >= VIRTIO_NET_MTU_MIN);
	n->params.mtu = mtu;
}

void
virtio_net_stats(const struct virtio_net *n, struct virtio_net_stats *stats)
{
	*stats = n->stats;
}

static int
net_save(const void *dev, struct state_writer *w)
{
	const struct virtio_net *n = dev;
	struct net_state s = {
		.offloads = n->offloads_set ? n->offloads : 0,
		.pairs = (uint16_t)n->pairs,
		.max_pairs = (uint16_t)n->params.pairs,
		.mtu = atomic_load(&n->mtu),
		.offloads_set = n->offloads_set,
		.announce = (atomic_load(&n->status) & NET_S_ANNOUNCE) != 0,
		.told = (uint8_t)n->told,
		.filter = n->filter,
	};
	uint64_t mac = atomic_load(&n->mac);

	memcpy(s.mac, &mac, sizeof(s.mac));
	return state_put(w, "virtio-net", NET_STATE_VERSION, &s, sizeof(s));
}

static bool
net_state_ok(const struct virtio_net *n, uint64_t features,
    const struct net_state *s)
{
	return s->max_pairs == n->params.pairs && s->pairs >= 1 &&
	    s->pairs <= n->params.pairs &&
	    (s->pairs == 1 || (features & NET_F_MQ) != 0) &&
	    s->offloads_set <= 1 &&
	    (s->offloads & ~NET_GUEST_OFFLOADS) == 0 && s->announce <= 1 &&
	    s->mtu >= VIRTIO_NET_MTU_MIN &&
	    (s->told & ~(NET_S_LINK_UP | NET_S_ANNOUNCE)) == 0 &&
	    vnet_filter_ok(&s->filter);
}

static int
net_load(void *dev, uint64_t features, struct state_reader *r)
{
	struct virtio_net *n = dev;
	struct net_state s;
	int error;

	error = state_get(r, "virtio-net", NET_STATE_VERSION, &s, sizeof(s));
	if (error == 0 && !net_state_ok(n, features, &s))
		error = -EINVAL;
	if (error != 0)
		return error;
	n->offloads = s.offloads;
	n->offloads_set = s.offloads_set != 0;
	n->pairs = s.pairs;
	n->filter = s.filter;
	net_store_mac(n, s.mac);
	atomic_store(&n->mtu, s.mtu);
	/* The link may be another here: start() tells of it then. */
	n->told = s.told;
	if (s.announce != 0)
		atomic_fetch_or(&n->status, NET_S_ANNOUNCE);
	return 0;
}

static const struct virtio_dev_ops net_ops = {
	.name = "virtio-net",
	.id = NET_DEVICE_ID,
	.pci_class = NET_PCI_CLASS,
	.queue_max = NET_QUEUE_MAX,
	.config_len = sizeof(struct net_config),
	.features = net_features,
	.config_read = net_config_read,
	.start = net_start,
	.notify = net_notify,
	.stop = net_stop,
	.reset = net_reset,
	.save = net_save,
	.load = net_load,
};
