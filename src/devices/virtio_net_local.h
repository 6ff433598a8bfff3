/* SPDX-License-Identifier: ISC */
/*
 * What the files of the network device share:
 *
 *	virtio_net.c	the device: features, configuration, life, saving
 *	virtio_net_tx.c	frames from the guest
 *	virtio_net_rx.c	frames to the guest
 *	virtio_net_ctl.c	the control queue
 *	virtio_net_filter.c	which frames the guest wants
 */
#ifndef VMMD_VIRTIO_NET_LOCAL_H
#define VMMD_VIRTIO_NET_LOCAL_H

#include <stdatomic.h>

#include "devices/virtio_net.h"

#define NET_QUEUE_MAX		256
_Static_assert(NET_QUEUE_MAX <= VQ_SIZE_MAX, "queue too large");

/* Feature bits (5.1.3). */
#define NET_F_CSUM		(1ULL << 0)
#define NET_F_GUEST_CSUM	(1ULL << 1)
#define NET_F_CTRL_GUEST_OFFLOADS	(1ULL << 2)
#define NET_F_MTU		(1ULL << 3)
#define NET_F_MAC		(1ULL << 5)
#define NET_F_GUEST_TSO4	(1ULL << 7)
#define NET_F_GUEST_TSO6	(1ULL << 8)
#define NET_F_GUEST_ECN		(1ULL << 9)
#define NET_F_HOST_TSO4		(1ULL << 11)
#define NET_F_HOST_TSO6		(1ULL << 12)
#define NET_F_HOST_ECN		(1ULL << 13)
#define NET_F_MRG_RXBUF		(1ULL << 15)
#define NET_F_STATUS		(1ULL << 16)
#define NET_F_CTRL_VQ		(1ULL << 17)
#define NET_F_CTRL_RX		(1ULL << 18)
#define NET_F_CTRL_VLAN		(1ULL << 19)
#define NET_F_CTRL_RX_EXTRA	(1ULL << 20)
#define NET_F_GUEST_ANNOUNCE	(1ULL << 21)
#define NET_F_MQ		(1ULL << 22)
#define NET_F_CTRL_MAC_ADDR	(1ULL << 23)
#define NET_F_GUEST_USO4	(1ULL << 54)
#define NET_F_GUEST_USO6	(1ULL << 55)
#define NET_F_HOST_USO		(1ULL << 56)

/* Those that a driver may switch while it runs (5.1.6.5.6.1). */
#define NET_GUEST_OFFLOADS	(NET_F_GUEST_CSUM | NET_F_GUEST_TSO4 | \
	NET_F_GUEST_TSO6 | NET_F_GUEST_ECN | NET_F_GUEST_USO4 | \
	NET_F_GUEST_USO6)

/* Bits of the configuration's status (5.1.4). */
#define NET_S_LINK_UP		0x01
#define NET_S_ANNOUNCE		0x02

/* What every frame begins with (5.1.6). */
struct net_hdr {
	uint8_t		flags;
	uint8_t		gso_type;
	uint16_t	hdr_len;
	uint16_t	gso_size;
	uint16_t	csum_start;
	uint16_t	csum_offset;
	uint16_t	num_buffers;
};
_Static_assert(sizeof(struct net_hdr) == NICPORT_HEADER, "net_hdr");

#define NET_HDR_F_NEEDS_CSUM	0x01
#define NET_HDR_GSO_NONE	0
#define NET_HDR_GSO_TCPV4	1
#define NET_HDR_GSO_TCPV6	4
#define NET_HDR_GSO_UDP_L4	5
#define NET_HDR_GSO_ECN		0x80

#define NET_ETH_LEN		14
#define NET_MACS_MAX		64	/* a table's entries */
#define NET_VLANS		4096

/*
 * Which frames the guest wants (5.1.6.5.1, .3).  A table that was too long
 * has overflowed: all such addresses are let through.
 */
enum net_mode {
	NET_MODE_PROMISC,
	NET_MODE_ALLMULTI,
	NET_MODE_ALLUNI,
	NET_MODE_NOMULTI,
	NET_MODE_NOUNI,
	NET_MODE_NOBCAST,
	NET_MODES,
};

struct net_macs {
	uint8_t		n;
	uint8_t		overflow;
	uint8_t		mac[NET_MACS_MAX][6];
};

struct net_filter {
	uint8_t		mode;			/* 1 << enum net_mode */
	struct net_macs	uni;
	struct net_macs	multi;
	uint8_t		vlan[NET_VLANS / 8];	/* bit a VLAN that passes */
};
_Static_assert(sizeof(struct net_filter) == 1 + 2 * 386 + 512,
    "no hidden padding");

/* What was done of a queue's share in one turn of the loop. */
struct net_share {
	unsigned	turn;
	unsigned	packets;
	size_t		bytes;
};

/* A receive buffer that was popped: its elements follow each other. */
struct net_buf {
	uint16_t	head;
	unsigned	niov;
	size_t		len;
};

/*
 * Buffers held for what comes next: bufs[first .. end) of them, with the
 * elements iov[iov_first .. iov_end), `space` bytes.  One that is added finds
 * room for a whole chain.  A frame that is longer than they are goes on in
 * `spill` and waits there, `waiting` bytes of which `waiting_at` lie before it.
 * What is likely short is received into the spill as a whole, then copied.
 */
#define NET_RX_IOV		(2 * VQ_CHAIN_MAX)

struct net_rx {
	struct net_share share;
	unsigned	 first, end;
	unsigned	 iov_first, iov_end;
	size_t		 space;
	size_t		 waiting;
	size_t		 waiting_at;
	size_t		 likely;	/* length of the next frame */
	struct net_buf	 buf[NET_RX_IOV];
	struct iovec	 iov[NET_RX_IOV + 1];	/* and the spill */
	uint8_t		 spill[NICPORT_FRAME_MAX + 1];
};

/*
 * The frame that is being sent, held while the port cannot take it.  Its headers
 * are copied, and so is all of a short one, into one element.
 */
#define NET_TX_SHORT	256

struct net_tx {
	struct net_share share;
	bool		 held;
	uint16_t	 head;
	size_t		 len;		/* without the header */
	unsigned	 niov;
	union {
		struct net_hdr	 hdr;
		uint8_t		 copy[NET_TX_SHORT];	/* iov[0] */
	};
	struct iovec	 iov[VQ_CHAIN_MAX + 1];
};

struct net_pair {
	unsigned	wanted;		/* of the port */
	struct net_rx	rx;
	struct net_tx	tx;
};

/*
 * i: immutable; a: atomic, written by the loop; the rest: loop.  What a reset
 * brings back is marked r; what start() derives from it, d.
 */
struct virtio_net {
	struct virtio_dev_ops	 ops;		/* i: common, its queues */
	struct nicport		*port;		/* i */
	struct virtio_net_params params;	/* mtu: the next reset's */
	struct virtio		*v;		/* set by start */
	bool			 running;
	atomic_uint_least64_t	 mac;		/* a, r: as its bytes lie */
	atomic_uint_least16_t	 mtu;		/* a, r */
	atomic_uint_least16_t	 status;	/* a; announce: r */
	uint16_t		 told;		/* status, when last told */
	unsigned		 pairs;		/* r: in use */
	bool			 offloads_set;	/* r: by the driver */
	uint64_t		 offloads;	/* r: NET_GUEST_OFFLOADS */
	struct net_filter	 filter;	/* r */
	uint64_t		 features;	/* d: negotiated */
	unsigned		 ctl;		/* d: the queue, or none */
	unsigned		 send_flags;	/* d: NICPORT_* it leaves */
	unsigned		 recv_flags;	/* d: what is left to it */
	size_t			 rx_need;	/* d: held before receiving */
	unsigned		 share_packets;	/* d: a queue's in a turn */
	size_t			 share_bytes;	/* d */
	struct virtio_net_stats	 stats;
	struct vq_chain		 chain;		/* being looked at */
	struct net_pair		 pair[];
};

/* virtio_net.c */

/* False once the driver has broken the protocol. */
bool vnet_alive(const struct virtio_net *n);

/* May there be such segments, or none, under these offloads? */
bool vnet_gso_allowed(uint8_t gso_type, unsigned flags);

/* Begins a queue's share anew, if this is another turn. */
void vnet_look_at_turn(const struct virtio_net *n, struct net_share *s);

/* Is anything left of it? */
static inline bool
vnet_may(const struct virtio_net *n, const struct net_share *s)
{
	return s->packets < n->share_packets && s->bytes < n->share_bytes;
}

static inline void
vnet_spend(struct net_share *s, size_t bytes)
{
	s->packets++;
	s->bytes += bytes;
}

/* Says whether readable() or writable() of a pair is wanted. */
void vnet_want(struct virtio_net *n, unsigned pair, unsigned what, bool on);

/* The driver's settings, taken over at once: 0 or -errno and no change. */
int vnet_set_offloads(struct virtio_net *n, uint64_t offloads);
int vnet_set_pairs(struct virtio_net *n, unsigned pairs);
void vnet_set_mac(struct virtio_net *n, const uint8_t *mac);
void vnet_announced(struct virtio_net *n);

/* virtio_net_tx.c: goes on sending; gives back what is held. */
void vnet_tx_run(struct virtio_net *n, unsigned pair);
void vnet_tx_quiet(struct virtio_net *n, unsigned pair);

/*
 * virtio_net_rx.c: goes on receiving; drops a frame that waits for room, since
 * it does more than is allowed now; gives back what is held.
 */
void vnet_rx_run(struct virtio_net *n, unsigned pair);
void vnet_rx_forget(struct virtio_net *n, unsigned pair);
void vnet_rx_quiet(struct virtio_net *n, unsigned pair);

/* virtio_net_ctl.c: carries out what waits in the control queue. */
void vnet_ctl_run(struct virtio_net *n);

/*
 * virtio_net_filter.c.  reset: all frames pass, but those of VLANs once the
 * guest wants less.  pass: does a frame that begins with these `len` bytes,
 * NET_ETH_LEN and more?  ok: could the bytes be those of a filter?
 */
void vnet_filter_reset(struct net_filter *f);
bool vnet_filter_pass(const struct net_filter *f, const uint8_t *mac,
    bool vlans, const uint8_t *frame, size_t len);
bool vnet_filter_ok(const struct net_filter *f);

#endif /* VMMD_VIRTIO_NET_LOCAL_H */
