/* SPDX-License-Identifier: ISC */
/*
 * A packet and what becomes of it, as one line:
 *
 *   in em0 tcp 192.0.2.1#1 198.51.100.2#80 S = pass new as tcp ... 10.0.0.2#80
 *
 * DIR IF PROTO SRC DST [type N] [code N] [id N] [target ADDR], then flags of
 * TCP (S, SA, A, R), frag, options, tag T, from IF (where an outgoing one came
 * in), about FLOW (an ICMP error); behind `=` pass, block, return, return-rst
 * or return-icmp, then what shall hold: known or new (by a state, or making
 * one), stateless, log, line N, label L, tag T, as FLOW (the packet then).
 */
#ifndef VMMD_T_PFE_TEXT_H
#define VMMD_T_PFE_TEXT_H

#include "pfe.h"

struct pfe_text {
	struct pfe_packet pkt;
	char		ifname[16];
	char		received[16];
	bool		pass;
	enum pfe_how	how;
	int		known;		/* -1: any */
	int		made;
	int		line;
	bool		log;
	char		label[64];
	char		tag[64];
	bool		has_after;
	struct pfe_flow	after;
};

bool pfe_text_parse(struct pfe_text *t, const char *line);

/* Shows it to pf: is all as expected?  `got` says what was. */
bool pfe_text_run(struct pfe *pf, const struct pfe_text *t, char *got,
    size_t size);

#endif /* VMMD_T_PFE_TEXT_H */
