/* SPDX-License-Identifier: ISC */
/*
 * What the network of any operating system must do for us: bridges, their
 * ports, addresses, and taps, the interfaces whose other end is a descriptor.
 *
 * Each system has these functions in a file of its own.  All return 0 or
 * -errno; -EOPNOTSUPP is what a system cannot do.  None of them logs.
 */
#ifndef VMMD_NET_OS_H
#define VMMD_NET_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/ifname.h"

#define OS_MARK_MAX	256

struct loop;
struct os;
struct os_watch;

enum os_kind {
	OS_KIND_OTHER,
	OS_KIND_BRIDGE,
	OS_KIND_VRF,
};

/* One interface.  What the system did not tell is zero. */
struct os_link {
	int		 index;		/* > 0, not used again soon */
	int		 master;	/* the bridge or VRF it is in, or 0 */
	char		 name[IFNAME_SIZE];
	char		 mark[OS_MARK_MAX];
	enum os_kind	 kind;
	uint8_t		 mac[6];
	uint32_t	 mtu;
	uint32_t	 group;
	uint32_t	 ra;		/* hears router advertisements: 0: no */
	bool		 up;		/* switched on */
	bool		 running;	/* and has a carrier */
	bool		 isolated;	/* as a port */
	bool		 vlans;		/* a bridge that tells VLANs apart */
	bool		 linklocal;	/* makes itself an IPv6 address */
	/* os_watch only: */
	bool		 gone;
	bool		 asked;		/* an answer, not a change */
};

/* An address and its prefix. */
struct os_addr {
	uint8_t		 bytes[16];	/* the first 4 of IPv4 */
	uint8_t		 prefix;	/* bits */
	bool		 ipv6;
};

struct os_ifaddr {
	int		 index;
	bool		 ours;		/* os_addr_set made it */
	struct os_addr	 addr;
};

/* All interfaces and addresses, as of one moment each. */
struct os_view {
	struct os_link		*links;
	size_t			 nlinks;
	struct os_ifaddr	*addrs;
	size_t			 naddrs;
};

/* What os_link_set() changes. */
enum os_attr {
	OS_MARK,	/* text */
	OS_MAC,		/* mac */
	OS_MTU,		/* number */
	OS_GROUP,	/* number */
	OS_MASTER,	/* number: an index, or 0 */
	OS_UP,		/* number: 0 or 1, as all that follow */
	OS_ISOLATED,	/* exchanges no frames with other isolated ports */
	OS_VLANS,
	OS_LINKLOCAL,	/* nothing where there is no IPv6 */
	OS_RA,		/* number: one that the system gave, or 0 */
};

struct os_value {
	uint32_t	 number;
	uint8_t		 mac[6];
	const char	*text;
};

/*
 * A handle for requests: one thread at a time, and each may have its own.  A
 * request waits for the system to have done it, which takes microseconds to
 * create and change, and tens of milliseconds to delete.
 */
int os_open(struct os **op);
void os_close(struct os *o);

/* The name of this host. */
void os_host(char *out, size_t size);

/* Everything there is, by one request for interfaces and one for addresses. */
int os_view_get(struct os *o, struct os_view *v);
void os_view_free(struct os_view *v);

/* A group's number from that or its name. */
int os_group(const char *text, uint32_t *number);

/*
 * A bridge that is down: no spanning tree and no delay before a port forwards,
 * addresses forgotten after five minutes and no more than 16,384 known if the
 * system can limit them, multicast to all ports, and no VLAN for ports that
 * nobody gave one.
 */
int os_bridge_create(struct os *o, const char *name, const uint8_t mac[6],
    int *index);

int os_link_set(struct os *o, int index, enum os_attr attr,
    const struct os_value *v);

/*
 * Deletes interfaces, all at once since the system waits as long for one as
 * for all.  Those that are not there any more are none to it.
 */
int os_links_delete(struct os *o, const int *index, size_t n);

/* Adds an address, or removes it; -EEXIST and -EADDRNOTAVAIL as expected. */
int os_addr_set(struct os *o, int index, const struct os_addr *a, bool on);

/*
 * The one VLAN of a bridge's port, or, with `self`, of the host at the bridge:
 * untagged, or, for a trunk, with its tag.  It is in no other; 0: in none.
 */
int os_vlan_set(struct os *o, int index, uint16_t vlan, bool tagged,
    bool self);

/*
 * Creates a tap of that name, down, and opens its queues: n descriptors that
 * never wait.  A frame begins with the 12 bytes of virtio_net_hdr_v1.  It goes
 * away with the last descriptor.  -EBUSY: the name is taken.
 */
int os_tap_create(const char *name, unsigned n, int *fds, int *index);

/*
 * Lets what is sent to a tap go straight into its queues; to be asked for
 * before it is up.
 */
int os_tap_direct(struct os *o, int index);

/* Whether the system puts frames into this queue; any thread. */
int os_tap_queue(int fd, bool on);

/* Which of nicport.offloads frames that are read may leave undone. */
int os_tap_offload(int fd, unsigned flags);

/* All that os_tap_offload() can do here. */
unsigned os_tap_offloads(int fd);

/* Plugs and pulls the cable. */
int os_tap_carrier(int fd, bool on);

/*
 * Tells of interfaces that change, on the loop: some of them each turn, and
 * all of them if a change was missed.  Loop thread only.
 */
int os_watch_start(struct os_watch **wp, struct loop *loop,
    void (*fn)(void *cookie, const struct os_link *l), void *cookie);
void os_watch_stop(struct os_watch *w);

/*
 * Has it told of one soon, as it is then; changes that it tells of before were
 * made before.
 */
int os_watch_ask(struct os_watch *w, int index);

#endif /* VMMD_NET_OS_H */
