/* SPDX-License-Identifier: ISC */
/*
 * The world of a table of packets (ptab.h), made in the network namespace that
 * we are in: a tap for each interface that parties are at, bridges with them,
 * the host's addresses, its way to the rest, and nobody who has to be asked for
 * his address.  What goes through it is seen by libpcap, at each interface both
 * what came in and what went out, and by sockets, as what the host got.
 */
#ifndef PWORLD_H
#define PWORLD_H

#include "ptab.h"

struct pworld;

/* What was seen, and where. */
enum pworld_where {
	PWORLD_IN,	/* came in by the interface */
	PWORLD_OUT,	/* left by it */
	PWORLD_HOST,	/* got to the host's programs, or its bridge if no IP */
};

/* A frame, or what follows IP's header of what the host got. */
typedef void pworld_fn(void *cookie, enum pworld_where where,
    const char *iface, const uint8_t *bytes, size_t len);

/* 0, or -errno and a message. */
int pworld_open(struct pworld **wp, const struct ptab *t, char *err,
    size_t errlen);
void pworld_close(struct pworld *w);

/* A frame that comes in by an interface, sent by whoever is there. */
int pworld_send(struct pworld *w, const char *iface, const uint8_t *frame,
    size_t len);

/* Tells of all that was seen since, waiting at most so long for some. */
void pworld_look(struct pworld *w, int ms, pworld_fn *fn, void *cookie);

#endif /* PWORLD_H */
