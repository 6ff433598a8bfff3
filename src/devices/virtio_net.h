/* SPDX-License-Identifier: ISC */
/*
 * virtio network device (virtio 1.2, section 5.1) at a port.
 */
#ifndef VMMD_VIRTIO_NET_H
#define VMMD_VIRTIO_NET_H

#include <stdint.h>

#include "base/nicport.h"
#include "devices/virtio.h"

#define VIRTIO_NET_PAIRS_MAX	64
#define VIRTIO_NET_MTU_MIN	68
#define VIRTIO_NET_MTU_MAX	65535

struct virtio_net;

struct virtio_net_params {
	uint8_t		mac[6];		/* the guest may take another */
	uint16_t	mtu;		/* VIRTIO_NET_MTU_MIN and up */
	unsigned	pairs;		/* of queues, 1 to the maximum */
};

/* Since the device was made.  Bytes are those of Ethernet frames. */
struct virtio_net_stats {
	uint64_t	tx_packets;
	uint64_t	tx_bytes;
	uint64_t	tx_malformed;	/* no frame, or a header of nonsense */
	uint64_t	tx_refused;	/* by the port */
	uint64_t	rx_packets;
	uint64_t	rx_bytes;
	uint64_t	rx_malformed;	/* no frame, or offloads not allowed */
	uint64_t	rx_filtered;	/* the guest does not want them */
	uint64_t	rx_too_long;	/* for what the guest has buffers */
};

/*
 * A network device at `port`, which must outlive it and have as many queues.
 * Any thread.  NULL with errno set.
 */
struct virtio_net *virtio_net_create(struct nicport *port,
    const struct virtio_net_params *params);

/* The device type, for a transport; lives as long as the device. */
const struct virtio_dev_ops *virtio_net_ops(const struct virtio_net *n);

/* Any thread; after detach, and after its transport is gone. */
void virtio_net_destroy(struct virtio_net *n);

/*
 * Takes the port before the guest runs, leaves it after the transport was
 * stopped.  These and all below: loop.
 */
void virtio_net_attach(struct virtio_net *n);
void virtio_net_detach(struct virtio_net *n);

/*
 * Has the guest tell the network where it is (5.1.6.5.4), if its driver can
 * and runs: after a move to another host.
 */
void virtio_net_announce(struct virtio_net *n);

/*
 * Gives the guest another MTU.  A driver sees it from its next reset on: it
 * relies on the one it has found (5.1.4.1).
 */
void virtio_net_set_mtu(struct virtio_net *n, uint16_t mtu);

void virtio_net_stats(const struct virtio_net *n,
    struct virtio_net_stats *stats);

#endif /* VMMD_VIRTIO_NET_H */
