/* SPDX-License-Identifier: ISC */
/*
 * The frames of a table of packets (ptab.h), and what is in those that are
 * seen.  Each has a tag, by which it is known wherever it gets to, whatever was
 * translated on the way.
 */
#ifndef PFRAME_H
#define PFRAME_H

#include "ptab.h"

#define PFRAME_MAX	1600

/* An Ethernet frame. */
struct pframe {
	size_t	len;
	uint8_t	bytes[PFRAME_MAX];
};

/* One that was seen. */
struct pframe_view {
	unsigned	 tag;
	bool		 is_error;	/* ICMP's, with a quotation */
	unsigned	 type;		/* Ethernet's */
	unsigned	 family;	/* 4, 6, 0 */
	const uint8_t	*src, *dst;	/* IP addresses */
	unsigned	 protocol;
	const uint8_t	*l4;		/* NULL: not in this fragment */
	bool		 ports;		/* l4 begins with two */
	uint16_t	 sport, dport;
};

/*
 * Makes the frames of a packet, one or two.  `seen` is the packet it is about,
 * as its receiver got it, or NULL.  0; -EINVAL: the table asks for something
 * that there is not; -ENOENT: nothing was seen.
 */
int pframe_build(const struct ptab_packet *p, unsigned tag,
    const struct pframe *seen, struct pframe out[2], size_t *n);

/* Whether it is one of ours, and what it is. */
bool pframe_look(struct pframe_view *v, const uint8_t *frame, size_t len);

/* The tag in bytes without headers; or 0. */
unsigned pframe_tag(const uint8_t *bytes, size_t len);

#endif /* PFRAME_H */
