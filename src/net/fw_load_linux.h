/* SPDX-License-Identifier: ISC */
/*
 * What the files that load the firewall on Linux share; of no use elsewhere.
 */
#ifndef VMMD_NET_FW_LOAD_LINUX_H
#define VMMD_NET_FW_LOAD_LINUX_H

#include "base/buf.h"

#define FW_SWAP_MAX	(64 << 20)
#define FW_SWAP_LINE	4096	/* of a text */

/*
 * How a text of fw_nft_write() takes the place of one before, in steps that are
 * a transaction each: `add` all that is in it, with its number in the names so
 * that both are there; `turn` all hooks to it, which is the one step that packets
 * notice, and consists of a rule a hook; then take out the one before, by the
 * `remove` that was made with it.
 */
struct fw_swap {
	struct buf	add, turn, remove;	/* each with a NUL */
};

/* Makes them of a text: 0, -ENOMEM or -ENOBUFS. */
int fw_swap_make(struct fw_swap *s, const char *text, unsigned number);

/* Also of zeroes. */
void fw_swap_free(struct fw_swap *s);

/*
 * From what nft(8) lists: appends a line for each chain that may drop what is
 * forwarded, or sent to this host, and is in no table of a vmmd.  0, -ENOMEM
 * or -ENOBUFS.  A pure function.
 */
int fw_conflicts_read(const char *listed, struct buf *warnings);

#endif /* VMMD_NET_FW_LOAD_LINUX_H */
