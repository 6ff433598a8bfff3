/* SPDX-License-Identifier: ISC */
/*
 * The port of a switch that one NIC is plugged into: a tap, limits, and what
 * is sent to the guest besides (base/nicport.h is what the NIC sees of it).
 * What is for the next bridge only, as LLDP, goes nowhere.
 *
 * Created and destroyed by any thread, since that may take milliseconds; all
 * else is on the loop.
 */
#ifndef VMMD_NET_PORT_H
#define VMMD_NET_PORT_H

#include <stddef.h>
#include <stdint.h>

#include "base/bucket.h"
#include "base/nicport.h"
#include "net/plan.h"

#define PORT_QUEUES	64

struct loop;
struct port;
struct switches;

/* As the guest sees it. */
enum port_dir {
	PORT_SEND,
	PORT_RECV,
	PORT_DIRS,
};

struct port_counters {
	uint64_t	packets;
	uint64_t	bytes;		/* from Ethernet's header on */
	uint64_t	lost;		/* the host did not take it */
	uint64_t	answered;	/* of or by the filter */
	uint64_t	waits;		/* for tokens */
};

struct port_conf {
	const char	*daemon;	/* names of the tap and in its mark */
	const char	*vm;
	unsigned	 nic;
	unsigned	 nqueues;	/* 1 to PORT_QUEUES */
	struct port_set	 set;		/* switch_state.ports, if known */
};

/*
 * Sees each frame that the guest sends, nicport.h's header first: true if it
 * goes no further.  It may call port_answer().
 */
struct port_filter {
	bool	(*frame)(void *cookie, const struct iovec *iov,
		    unsigned niov);
	void	*cookie;
};

/* Opens the tap, in its bridge and up: 0, or -errno and a message. */
int port_create(struct port **pp, const struct port_conf *c, char *err,
    size_t errlen);

/* NULL is allowed; no NIC is attached, and it is not plugged in. */
void port_destroy(struct port *p);

/* What a NIC attaches to, while the port is plugged in. */
struct nicport *port_nic(struct port *p);

/* The tap. */
const char *port_name(const struct port *p);
int port_index(const struct port *p);

/*
 * Into a switch, from there to another of the same daemon, with or without a
 * NIC, and out of it, without one: 0, or -errno and a message.
 */
int port_plug(struct port *p, struct loop *loop, struct switches *s,
    const char *name, char *err, size_t errlen);
int port_move(struct port *p, const char *name, char *err, size_t errlen);
void port_unplug(struct port *p);

/* NULL: none. */
void port_set_filter(struct port *p, const struct port_filter *f);

/* Limits of one direction from now on, while the port is plugged in. */
void port_set_limit(struct port *p, enum port_dir dir,
    const struct bucket_limit *bytes, const struct bucket_limit *packets);

/* The link, as the NIC was told. */
bool port_is_up(const struct port *p);

/* Pulls the cable, or puts it back: 0 or -errno. */
int port_set_cable(struct port *p, bool in);

/* Any thread, while no NIC is attached and the cable is out: forgets frames. */
void port_drain(struct port *p);

/*
 * A frame, copied, that the guest gets before any other: 0; -EMSGSIZE: longer
 * than 1,500 bytes of Ethernet carry; -ENOBUFS: it has not taken the last few.
 */
int port_answer(struct port *p, const void *frame, size_t len);

const struct port_counters *port_counters(const struct port *p,
    enum port_dir dir);

#endif /* VMMD_NET_PORT_H */
