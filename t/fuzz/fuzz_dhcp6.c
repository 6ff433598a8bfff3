/* SPDX-License-Identifier: ISC */
/*
 * Fuzz target: stateless DHCPv6.  An answer's options can be read to their end,
 * are each there once, and none of them gives an address.
 */
#include "netframe.h"

static void
judge(const struct lease *l, const struct frame *asked,
    const struct frame *answer)
{
	const uint8_t *p = answer->data;
	bool seen[64] = { false };
	size_t i;
	unsigned code;

	(void)l;
	FUZZ_CHECK(answer->version == 6 && answer->sport == 547 &&
	    answer->dport == 546);
	FUZZ_CHECK(memcmp(answer->src, fuzz_switch_ll, 16) == 0 &&
	    memcmp(answer->dst, asked->src, 16) == 0);
	FUZZ_CHECK(asked->len >= 4 && asked->data[0] == 11);
	FUZZ_CHECK(answer->len >= 4 && p[0] == 7 &&
	    memcmp(p + 1, asked->data + 1, 3) == 0);
	for (i = 4; i < answer->len; i += 4u + frame_get16(p + i + 2)) {
		FUZZ_CHECK(answer->len - i >= 4);
		code = frame_get16(p + i);
		FUZZ_CHECK(code == 1 || code == 2 || code == 23 ||
		    code == 24 || code == 32);
		FUZZ_CHECK(!seen[code]);
		seen[code] = true;
	}
	FUZZ_CHECK(i == answer->len && seen[2]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t servers[16] = { 0xff, 2, [13] = 1, 0, 2 };
	static const struct netframe n = {
		.wrap = frame_udp6,
		.data = FRAME_UDP6_DATA,
		.src = fuzz_guest_ll,
		.dst = servers,
		.sport = 546,
		.dport = 547,
		.judge = judge,
	};

	return netframe_run(&n, data, size);
}
