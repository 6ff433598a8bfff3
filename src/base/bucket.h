/* SPDX-License-Identifier: ISC */
/*
 * Token buckets: so many bytes and so many packets a second, with bursts.  What
 * goes for a packet, goes for a request of a disk.
 *
 * A packet goes when a bucket has tokens for all of it; one that is longer
 * than the burst, when the bucket is full, and the bucket owes the rest.  So
 * no time of t seconds sees more than burst + rate * t go, the packet that is
 * under way at its begin and end aside, and on the long run the rate is met to
 * the token: what the clock has not yet made a whole token is kept.
 *
 * Time is an argument, in ns of one clock; where it goes back, it stands.
 */
#ifndef VMMD_BUCKET_H
#define VMMD_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

#define BUCKET_MAX	(UINT64_C(1) << 50)	/* of all that follow */

struct bucket_limit {
	uint64_t	rate;		/* a second; 0: no limit */
	uint64_t	burst;		/* 1 at least */
};

/* One kind of tokens. */
struct bucket_tokens {
	struct bucket_limit	limit;
	int64_t			level;	/* below zero: owed */
	uint32_t		part;	/* of a token more, in 1e-9 */
};

struct bucket {
	struct bucket_tokens	bytes, packets;
	uint64_t		now;	/* up to which it is filled */
};

/* Full. */
void bucket_init(struct bucket *b, const struct bucket_limit *bytes,
    const struct bucket_limit *packets, uint64_t now);

/*
 * Other limits from now on: what has been saved up counts as far as the new
 * burst goes, and what is owed stays so; what had no limit begins full.
 */
void bucket_set(struct bucket *b, const struct bucket_limit *bytes,
    const struct bucket_limit *packets, uint64_t now);

/*
 * Takes the tokens of so many bytes in so many packets: 0, or the time, later
 * than `now`, at which they will be there, if nothing else is taken.
 */
uint64_t bucket_take(struct bucket *b, uint64_t now, uint64_t bytes,
    uint64_t packets);

#endif /* VMMD_BUCKET_H */
