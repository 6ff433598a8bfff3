/* SPDX-License-Identifier: ISC */
/*
 * The guests of switchd: each plays a NIC, at the interface that a device has
 * (base/nicport.h), and says on stdout what it sees.
 */
#ifndef SWITCHGUEST_H
#define SWITCHGUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "net/port.h"

struct guest {
	struct guest	*next;
	struct port	*port;
	char		 vm[64];
	char		 sw[64];	/* its switch, once it is there */
	unsigned	 nqueues;	/* to use, at most as many as at first */
	unsigned	 inuse;
	uint64_t	 rate;		/* bytes a second of sending, or 0 */
	unsigned	 flood;		/* frames to send when it is told to */
	unsigned	 left;		/* of those */
	uint64_t	 began;		/* ns */
	bool		 rests;		/* has no room for frames */
	bool		 spoofs;	/* each frame is from another address */
	bool		 listed;	/* in the file that was read last */
};

/* Once its port is plugged in. */
void guest_attach(struct guest *g);

/* Uses as many queues as it should. */
void guest_queues(struct guest *g);

/* Sends a frame to all, or as many as it floods with. */
void guest_speak(struct guest *g);

#endif /* SWITCHGUEST_H */
