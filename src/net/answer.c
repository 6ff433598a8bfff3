/* SPDX-License-Identifier: ISC */
/*
 * All that a port answers its guest itself.
 */
#include "net/answer.h"

#include <errno.h>
#include <string.h>

#include "net/dhcp.h"
#include "net/dhcp6.h"

void
answer_init(struct answer *a, const struct lease *l, uint64_t now)
{
	memset(a, 0, sizeof(*a));
	a->lease = *l;
	ra_init(&a->ra, l, now);
}

static bool
prefix_differs(const struct lease *a, const struct lease *b)
{
	return a->prefix6_len != b->prefix6_len ||
	    memcmp(a->prefix6, b->prefix6, sizeof(a->prefix6)) != 0;
}

static bool
names_differ(const struct lease *a, const struct lease *b)
{
	return a->ndns6 != b->ndns6 ||
	    memcmp(a->dns6, b->dns6, a->ndns6 * sizeof(a->dns6[0])) != 0 ||
	    strcmp(a->domain, b->domain) != 0;
}

int
answer_change(struct answer *a, const struct lease *l, uint64_t now,
    uint8_t out[FRAME_MAX])
{
	int len = 0;

	if (a->lease.prefix6_len != 0 && prefix_differs(&a->lease, l))
		len = ra_withdraw(&a->lease, out);
	else if (a->lease.prefix6_len != 0 && names_differ(&a->lease, l))
		len = ra_withdraw_names(&a->lease, out);
	a->lease = *l;
	ra_init(&a->ra, l, now);
	return len;
}

bool
answer_is_asked(const uint8_t *head, size_t len)
{
	const uint8_t *ether = head + FRAME_VNET, *ip = ether + FRAME_ETHER;
	size_t hlen;

	if (len < FRAME_VNET + FRAME_ETHER + 20)
		return false;
	len -= FRAME_VNET + FRAME_ETHER;
	switch (frame_get16(ether + 12)) {
	case 0x0800:
		hlen = (ip[0] & 0x0f) * 4u;
		return ip[9] == FRAME_UDP && hlen + 4 <= len &&
		    frame_get16(ip + hlen + 2) == DHCP_SERVER_PORT;
	case 0x86dd:
		if (len < 44)
			return false;
		return ip[6] == FRAME_UDP ?
		    frame_get16(ip + 42) == DHCP6_SERVER_PORT :
		    ip[6] == FRAME_ICMP6 && ip[40] == RA_SOLICITATION;
	default:
		return false;
	}
}

/* Counts what came of a frame. */
static int
counted(struct answer *a, uint64_t *answers, int result)
{
	if (result > 0)
		++*answers;
	else if (result == 0)
		a->refused++;
	return result;
}

int
answer_frame(struct answer *a, const uint8_t *frame, size_t len,
    uint64_t now, uint8_t out[FRAME_MAX])
{
	struct frame f;
	int n;

	if (frame_parse(&f, frame, len) != 0)
		return -ENOMSG;
	n = dhcp_answer(&a->lease, &f, out);
	if (n != -ENOMSG)
		return counted(a, &a->dhcp, n);
	n = dhcp6_answer(&a->lease, &f, out);
	if (n != -ENOMSG)
		return counted(a, &a->dhcp6, n);
	return counted(a, &a->advertised,
	    ra_answer(&a->ra, &a->lease, &f, now, out));
}

/* Copies a frame's first `most` bytes, or all of it: how many. */
static size_t
gather(uint8_t *to, size_t most, const struct iovec *iov, unsigned niov)
{
	size_t len = 0, n;

	for (; niov > 0 && len < most; iov++, niov--) {
		n = iov->iov_len < most - len ? iov->iov_len : most - len;
		if (n > 0)
			memcpy(to + len, iov->iov_base, n);
		len += n;
	}
	return len;
}

bool
answer_iov_is_asked(const struct iovec *iov, unsigned niov)
{
	uint8_t head[ANSWER_HEAD];

	return answer_is_asked(head, gather(head, sizeof(head), iov, niov));
}

int
answer_iov(struct answer *a, const struct iovec *iov, unsigned niov,
    uint64_t now, uint8_t out[FRAME_MAX])
{
	uint8_t frame[ANSWER_LONGEST + 1];
	size_t len;

	if (!answer_iov_is_asked(iov, niov))
		return -ENOMSG;
	len = gather(frame, sizeof(frame), iov, niov);
	if (len > ANSWER_LONGEST)
		return -ENOMSG;
	return answer_frame(a, frame, len, now, out);
}

uint64_t
answer_due(const struct answer *a)
{
	return a->ra.due;
}

int
answer_periodic(struct answer *a, uint64_t now, uint8_t out[FRAME_MAX])
{
	int n = ra_periodic(&a->ra, &a->lease, now, out);

	a->advertised += n > 0;
	return n;
}
