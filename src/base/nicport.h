/* SPDX-License-Identifier: ISC */
/*
 * The far end of a NIC: what a device that a guest sends and receives by, and
 * a port of a switch, know of each other.  Either side can be had without the
 * other.
 *
 * A frame begins with the 12 bytes of struct virtio_net_hdr_v1 (virtio 1.2,
 * 5.1.6), whose num_buffers means nothing here, then the Ethernet header.  It
 * has no checksum of its own at its end.
 *
 * Loop thread only, unless said otherwise.
 */
#ifndef VMMD_NICPORT_H
#define VMMD_NICPORT_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/uio.h>

#define NICPORT_HEADER		12

/* The longest frame: that header, Ethernet's, a VLAN tag, an IP packet. */
#define NICPORT_FRAME_MAX	(NICPORT_HEADER + 14 + 4 + 65535)

/* What a NIC wants to be called for. */
#define NICPORT_RECV		0x01u
#define NICPORT_SEND		0x02u

/*
 * Offloads: a frame may leave its checksum to whoever sends it on, and be cut
 * into segments there.  Segments need the checksum, ECN one of TSO.
 */
#define NICPORT_CSUM		0x01u
#define NICPORT_TSO4		0x02u
#define NICPORT_TSO6		0x04u
#define NICPORT_ECN		0x08u
#define NICPORT_USO		0x10u	/* UDP, IPv4 and IPv6 */

struct nicport;

/* What a port calls; all take the NIC's own struct. */
struct nic_ops {
	/*
	 * There is something to receive, or to send is worth a try; each turn
	 * of the loop in which that is so, as long as it is wanted.
	 */
	void	(*readable)(void *nic, unsigned queue);
	void	(*writable)(void *nic, unsigned queue);

	/* The link's state, at attach() and whenever it changes. */
	void	(*link)(void *nic, bool up);
};

/*
 * What a NIC calls.  Queues are numbered from 0 and come in pairs: one to send
 * and one to receive by.
 */
struct nicport_ops {
	/*
	 * Begins or, with NULL, ends the NIC's use of the port.  Then nothing
	 * is wanted, queue 0 is in use, and frames come without offloads.
	 */
	void	(*attach)(struct nicport *p, const struct nic_ops *ops,
		    void *nic);

	/*
	 * Sends one frame: 0; -EAGAIN: not now, writable() will come if it is
	 * wanted; another -errno: the frame is lost.  Ethernet's header is in
	 * the first element, which the guest cannot change meanwhile.
	 */
	int	(*send)(struct nicport *p, unsigned queue,
		    const struct iovec *iov, unsigned niov);

	/*
	 * Receives one frame: its length, or -EAGAIN if there is none.  What
	 * the elements have no room for is lost.
	 */
	ssize_t	(*recv)(struct nicport *p, unsigned queue,
		    const struct iovec *iov, unsigned niov);

	/* NICPORT_RECV and NICPORT_SEND, as wanted from now on. */
	void	(*want)(struct nicport *p, unsigned queue, unsigned what);

	/*
	 * Uses the first n queues of the port, by and by: 0 or -errno.  One
	 * that is not yet in use takes and gives nothing for now.
	 */
	int	(*queues)(struct nicport *p, unsigned n);

	/*
	 * What frames that are received may leave undone, of
	 * nicport.offloads: 0 or -errno.  Those that wait may still do what
	 * was allowed before.
	 */
	int	(*offload)(struct nicport *p, unsigned flags);
};

/* The part of a port that NICs see; first in the port's own struct. */
struct nicport {
	const struct nicport_ops	*ops;		/* immutable */
	unsigned			 offloads;	/* immutable: it can do */
};

#endif /* VMMD_NICPORT_H */
