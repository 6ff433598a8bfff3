/* SPDX-License-Identifier: ISC */
/*
 * A host with veb(4) and pf on its ports, as the text of rules is for: what it
 * makes of the packets that fw_trace() judges.
 */
#ifndef VMMD_T_FWPF_H
#define VMMD_T_FWPF_H

#include "../pf/pfe.h"
#include "net/fw_trace.h"

/* The host's interface to outside, in group egress, and its addresses. */
#define FWPF_OUTSIDE	"eth0"
#define FWPF_HOST4	"203.0.113.1/24"
#define FWPF_HOST6	"2001:db8:3::1/64"

struct fwpf {
	const struct fw_policy	*p;
	struct pfe		*pf;
	struct pfe_bridge	*veb;
};

#define FWPF_HOPS	8

/* A packet's way, and what it was at its end. */
struct fwpf_way {
	bool		 pass;
	bool		 framed;	/* dropped by the bridge */
	struct pfe_flow	 first;
	struct pfe_flow	 last;
	unsigned	 nhops;
	char		 hop[FWPF_HOPS][IFNAME_SIZE];
	enum pfe_dir	 dir[FWPF_HOPS];
	struct pfe_verdict by;		/* the last one */
};

/*
 * The host with these rules; NULL and a message if they cannot be read.
 */
bool fwpf_open(struct fwpf *f, const struct fw_policy *p, const char *pf,
    const char *veb, char *err, size_t size);
void fwpf_close(struct fwpf *f);

/* As fw_trace() is asked. */
void fwpf_send(struct fwpf *f, const struct fw_packet *k, uint32_t to,
    struct fwpf_way *w);

/* The answer goes all the way back; true if it arrives as one. */
bool fwpf_answer(struct fwpf *f, const struct fwpf_way *w);

#endif /* VMMD_T_FWPF_H */
