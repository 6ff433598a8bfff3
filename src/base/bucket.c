/* SPDX-License-Identifier: ISC */
/*
 * Token buckets.
 */
#include "base/bucket.h"

#include <string.h>

#define SECOND	UINT64_C(1000000000)

/* Products of a rate and a time have up to 114 bits. */
__extension__ typedef unsigned __int128 wide;

static uint64_t
bounded(uint64_t v)
{
	return v < BUCKET_MAX ? v : BUCKET_MAX;
}

static void
fill(struct bucket_tokens *t, uint64_t ns)
{
	wide more = (wide)t->limit.rate * ns + t->part;
	int64_t burst = (int64_t)t->limit.burst;

	if (t->limit.rate == 0)
		return;
	if (more / SECOND >= (wide)(burst - t->level)) {
		t->level = burst;
		t->part = 0;
		return;
	}
	t->level += (int64_t)(more / SECOND);
	t->part = (uint32_t)(more % SECOND);
}

static void
advance(struct bucket *b, uint64_t now)
{
	if (now <= b->now)
		return;
	fill(&b->bytes, now - b->now);
	fill(&b->packets, now - b->now);
	b->now = now;
}

static void
set(struct bucket_tokens *t, const struct bucket_limit *limit)
{
	bool was_free = t->limit.rate == 0;

	t->limit.rate = bounded(limit->rate);
	t->limit.burst = limit->burst != 0 ? bounded(limit->burst) : 1;
	if (was_free || t->level >= (int64_t)t->limit.burst) {
		t->level = (int64_t)t->limit.burst;
		t->part = 0;
	}
}

void
bucket_init(struct bucket *b, const struct bucket_limit *bytes,
    const struct bucket_limit *packets, uint64_t now)
{
	memset(b, 0, sizeof(*b));
	b->now = now;
	set(&b->bytes, bytes);
	set(&b->packets, packets);
}

void
bucket_set(struct bucket *b, const struct bucket_limit *bytes,
    const struct bucket_limit *packets, uint64_t now)
{
	advance(b, now);
	set(&b->bytes, bytes);
	set(&b->packets, packets);
}

/* The ns until `n` tokens can be taken. */
static uint64_t
wait_for(const struct bucket_tokens *t, uint64_t n)
{
	int64_t need = n < t->limit.burst ? (int64_t)n :
	    (int64_t)t->limit.burst;
	wide lack;

	if (t->limit.rate == 0 || t->level >= need)
		return 0;
	lack = (wide)(need - t->level) * SECOND - t->part;
	lack = (lack + t->limit.rate - 1) / t->limit.rate;
	return lack < UINT64_MAX ? (uint64_t)lack : UINT64_MAX;
}

uint64_t
bucket_take(struct bucket *b, uint64_t now, uint64_t bytes, uint64_t packets)
{
	uint64_t wait, other;

	advance(b, now);
	wait = wait_for(&b->bytes, bytes);
	other = wait_for(&b->packets, packets);
	if (other > wait)
		wait = other;
	if (wait > 0)
		return wait < UINT64_MAX - b->now ? b->now + wait : UINT64_MAX;
	if (b->bytes.limit.rate != 0)
		b->bytes.level -= (int64_t)bounded(bytes);
	if (b->packets.limit.rate != 0)
		b->packets.level -= (int64_t)bounded(packets);
	return 0;
}
