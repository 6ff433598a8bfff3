/* SPDX-License-Identifier: ISC */
/*
 * What the files that write the firewall for pf share; of no use elsewhere.
 */
#ifndef VMMD_NET_FW_PF_H
#define VMMD_NET_FW_PF_H

#include <stdbool.h>

#include "base/buf.h"
#include "net/fw.h"

#define FW_PF_TABLE	32	/* pf's limit, with the NUL */
#define FW_PF_TAG	64
#define FW_PF_ANCHOR	64

/*
 * What a tag says of a packet; it has one at a time.  Of a switch's guest:
 */
enum fw_pf_tag {
	FW_PF_GUEST,		/* sent it, and it has not been routed */
	FW_PF_ROUTED,		/* ... it has */
	FW_PF_FORGED,		/* it is not the guest's own; about to drop */
	/* ... to a group: who may have it, */
	FW_PF_TO_HOST,		/* the host only */
	FW_PF_TO_LINK,		/* all others only */
	FW_PF_TO_ALL,		/* both */
	/* Of any switch: */
	FW_PF_RDR,		/* it was sent to a published port */
	FW_PF_HOST,		/* the host sent it */
};

struct fw_pf {
	const struct fw_policy	*p;
	const struct fw_rules	*r;
	struct buf		*b;
	char			*err;
	size_t			 errlen;
	int			 error;		/* the first one */
	unsigned		 depth;		/* of braces */
	unsigned		 anchors;	/* opened so far */
	char			 ours[FW_OURS];
	/*
	 * The rules in their order, grouped by NIC: first[i] is where those of
	 * NIC i begin; behind them are those of no NIC.
	 */
	const struct fw_rule	**of;
	size_t			*first;
	bool			*used;		/* tables; by index */
	bool			*nd;		/* ... of whom ND's is used */
	char			 line[4096];
	size_t			 len;
};

/* Appends to the line; ends it, longer ones being continued. */
void fw_pf_add(struct fw_pf *w, const char *fmt, ...)
    __attribute__((__format__(__printf__, 2, 3)));
void fw_pf_end(struct fw_pf *w);
/* Both. */
void fw_pf_line(struct fw_pf *w, const char *fmt, ...)
    __attribute__((__format__(__printf__, 2, 3)));
/* A line that opens a brace, and the one that closes it. */
void fw_pf_open(struct fw_pf *w, const char *fmt, ...)
    __attribute__((__format__(__printf__, 2, 3)));
void fw_pf_close(struct fw_pf *w);
void fw_pf_fail(struct fw_pf *w, const char *fmt, ...)
    __attribute__((__format__(__printf__, 2, 3)));

/* Names, marked as used, in memory of the caller, which is returned. */
const char *fw_pf_table(struct fw_pf *w, uint32_t table, char to[FW_PF_TABLE]);
const char *fw_pf_nd(struct fw_pf *w, uint32_t own, char to[FW_PF_TABLE]);
const char *fw_pf_tag(struct fw_pf *w, enum fw_pf_tag tag, uint32_t sw,
    char to[FW_PF_TAG]);

/* Of a switch, or of a NIC; a long one is cut and has its index instead. */
const char *fw_pf_anchor_switch(const struct fw_pf *w, uint32_t sw,
    char to[FW_PF_ANCHOR]);
const char *fw_pf_anchor_nic(const struct fw_pf *w, uint32_t nic,
    char to[FW_PF_ANCHOR]);

/* An address, with its prefix if that is not all of it. */
void fw_pf_addr(struct fw_pf *w, const struct os_addr *a);

/*
 * Those that may be of a NIC, its own being the last: their number, and one of
 * them.
 */
size_t fw_pf_rules(const struct fw_pf *w, uint32_t nic);
const struct fw_rule *fw_pf_rule(const struct fw_pf *w, uint32_t nic, size_t i);

/* The rules of one NIC's tap, and what it may not send. */
void fw_pf_nic(struct fw_pf *w, uint32_t nic);
void fw_pf_frames(struct fw_pf *w, uint32_t sw);

#endif /* VMMD_NET_FW_PF_H */
