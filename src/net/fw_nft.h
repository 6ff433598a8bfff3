/* SPDX-License-Identifier: ISC */
/*
 * What the files that write nftables' text (fw_nft_write(), net/fw.h) share; of
 * no use elsewhere.
 */
#ifndef VMMD_NET_FW_NFT_H
#define VMMD_NET_FW_NFT_H

#include "base/buf.h"
#include "net/fw.h"

#define FW_NFT_MATCH	1024	/* what a rule wants of a packet, at most */

/* A NIC's rules of a stage. */
struct fw_nft_chain {
	uint32_t	nic;		/* after which the chain is named */
	size_t		begin, end;	/* in fw_rules.v */
};

/* One table, bridge or inet, as it is written. */
struct fw_nft {
	const struct fw_policy	*p;
	const struct fw_rules	*r;
	bool			 bridge;
	struct buf		*out;
	struct buf		 chains;	/* come behind the sets */
	bool			*used;		/* of r->table, in `chains` */
	/* Of p->sw: bits of stages with rules that are of all its NICs. */
	unsigned		*general;
	struct fw_nft_chain	*nics[FW_STAGES];	/* of FRAME to IN */
	bool			 link_scope;	/* used */
	size_t			 elements;	/* of the set at hand */
	int			 error;		/* the first; then all is void */
	char			*err;
	size_t			 errlen;
};

/* Appends to the chains, or to what has been written. */
__attribute__((__format__(__printf__, 2, 3)))
void fw_nft_put(struct fw_nft *w, const char *fmt, ...);
__attribute__((__format__(__printf__, 2, 3)))
void fw_nft_out(struct fw_nft *w, const char *fmt, ...);

/* Refuses the policy. */
__attribute__((__format__(__printf__, 2, 3)))
void fw_nft_refuse(struct fw_nft *w, const char *fmt, ...);

/* "web1.0", as in the names of chains. */
#define FW_NFT_NIC	(FW_NAME + 12)
void fw_nft_nic(char out[FW_NFT_NIC], const struct fw_nic *nic);

/* Whether the table has an address of that family. */
bool fw_nft_has(const struct fw_table *t, bool ipv6);

/* A rule of FRAME or SPOOF, of HOST, OUT or IN: its lines in a chain. */
void fw_nft_check(struct fw_nft *w, const struct fw_rule *rule);
void fw_nft_rule(struct fw_nft *w, const struct fw_rule *rule);

/* Refuse what cannot be told apart, or cannot be said. */
void fw_nft_check_nics(struct fw_nft *w);
void fw_nft_check_names(struct fw_nft *w);

/* Finds the chains of NICs, which those with the same rules share; `general`. */
int fw_nft_chains(struct fw_nft *w);
void fw_nft_chains_free(struct fw_nft *w);

/* The chains that rules of FRAME go to for who has no address. */
void fw_nft_unnamed(struct fw_nft *w);

/* The sets that were used, named after their tables: NAME_4, NAME_6. */
void fw_nft_tables(struct fw_nft *w);

#endif /* VMMD_NET_FW_NFT_H */
