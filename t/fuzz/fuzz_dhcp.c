/* SPDX-License-Identifier: ISC */
/*
 * Fuzz target: DHCP and BOOTP.  An answer gives the NIC's address or none, and
 * its options can be read to their end.
 */
#include "netframe.h"

#define MAGIC	0x63825363u

/* The options of one field; adds what they say of type and overload. */
static void
walk(const uint8_t *p, size_t len, uint8_t *type, uint8_t *over)
{
	size_t i = 0;

	while (i < len && p[i] != 255) {
		if (p[i] == 0) {
			i++;
			continue;
		}
		FUZZ_CHECK(i + 2 <= len && i + 2 + p[i + 1] <= len);
		if (p[i] == 53)
			*type = p[i + 2];
		if (p[i] == 52)
			*over = p[i + 2];
		i += 2u + p[i + 1];
	}
	FUZZ_CHECK(i < len);
}

static void
judge(const struct lease *l, const struct frame *asked,
    const struct frame *answer)
{
	const uint8_t *q = asked->data, *p = answer->data;
	uint8_t type = 0, over = 0, none = 0;
	uint32_t ip;

	FUZZ_CHECK(answer->version == 4 && answer->sport == 67 &&
	    answer->dport == 68 && frame_get32(answer->src) == l->server);
	FUZZ_CHECK(asked->len >= 240 && q[0] == 1);
	FUZZ_CHECK(answer->len >= 300 && p[0] == 2);
	FUZZ_CHECK(answer->len <= 1500 - 28);
	FUZZ_CHECK(memcmp(q + 4, p + 4, 4) == 0);
	FUZZ_CHECK(memcmp(q + 28, p + 28, 6) == 0 &&
	    memcmp(p + 28, l->mac, 6) == 0);
	ip = frame_get32(p + 16);
	FUZZ_CHECK(ip == 0 || ip == l->ip);
	FUZZ_CHECK(frame_get32(p + 236) == MAGIC);
	walk(p + 240, answer->len - 240, &type, &over);
	if ((over & 1) != 0)
		walk(p + 108, 128, &none, &none);
	if ((over & 2) != 0)
		walk(p + 44, 64, &none, &none);
	/* An address, or the news that there is none; one is always its. */
	FUZZ_CHECK(type == 0 || type == 2 || type == 5 || type == 6);
	FUZZ_CHECK(type != 6 || ip == 0);
	FUZZ_CHECK((type != 0 && type != 2) || ip == l->ip);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t nobody[4];
	/* As long as a MAC, which it also is. */
	static const uint8_t anybody[6] = { 255, 255, 255, 255, 255, 255 };
	static const struct netframe n = {
		.wrap = frame_udp4,
		.data = FRAME_UDP4_DATA,
		.src = nobody,
		.dst = anybody,
		.sport = 68,
		.dport = 67,
		.judge = judge,
	};

	return netframe_run(&n, data, size);
}
