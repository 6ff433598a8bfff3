/* SPDX-License-Identifier: ISC */
/*
 * Fuzz target: router solicitations.  An advertisement's options can be read to
 * their end, and one is there always: the prefix.
 */
#include "netframe.h"

static void
judge(const struct lease *l, const struct frame *asked,
    const struct frame *answer)
{
	static const uint8_t nobody[16], nodes[16] = { 0xff, 2, [15] = 1 };
	const uint8_t *p = answer->data;
	bool prefix = false;
	size_t i;

	FUZZ_CHECK(answer->protocol == 58 && answer->hops == 255);
	FUZZ_CHECK(memcmp(answer->src, fuzz_switch_ll, 16) == 0);
	FUZZ_CHECK(memcmp(answer->dst, memcmp(asked->src, nobody, 16) == 0 ?
	    nodes : asked->src, 16) == 0);
	FUZZ_CHECK(asked->data[0] == 133 && asked->hops == 255);
	FUZZ_CHECK(answer->len >= 16 && p[0] == 134);
	for (i = 16; i < answer->len; i += p[i + 1] * 8u) {
		FUZZ_CHECK(answer->len - i >= 8 && p[i + 1] != 0);
		if (p[i] == 3)
			prefix = memcmp(p + i + 16, l->prefix6, 16) == 0;
	}
	FUZZ_CHECK(i == answer->len && prefix);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t routers[16] = { 0xff, 2, [15] = 2 };
	static const struct netframe n = {
		.wrap = frame_icmp6,
		.data = FRAME_ICMP6_DATA,
		.src = fuzz_guest_ll,
		.dst = routers,
		.judge = judge,
	};

	return netframe_run(&n, data, size);
}
