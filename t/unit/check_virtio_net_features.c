/* SPDX-License-Identifier: ISC */
/*
 * Each feature bit that the network device offers, negotiated with what it
 * stands on and used, and without it.  t/lint/features looks for the rows.
 */
#include "nicrig.h"

#define CSUM		(1ull << 0)
#define GUEST_CSUM	(1ull << 1)

/* Has a frame of 300 bytes sent under such a header; is it? */
static bool
sends(struct fixture *f, uint8_t flags, uint8_t gso)
{
	unsigned had = f->port.sent[0].n;
	uint16_t start = 34;

	tx_write(f, HDR + 300);
	f->mem[TX_MEM] = flags;
	f->mem[TX_MEM + 1] = gso;
	f->mem[TX_MEM + 4] = 100;
	memcpy(f->mem + TX_MEM + 6, &start, 2);
	f->mem[TX_MEM + 8] = 6;
	tx_offer(f, 0, HDR + 300);
	vguest_notify(&f->g, 1);
	turns(f);
	ck_assert_uint_eq(tx_done(f), 1);
	if (f->port.sent[0].n == had)
		return false;
	ck_assert_uint_eq(f->port.sent[0].f[had].data[0], flags);
	ck_assert_uint_eq(f->port.sent[0].f[had].data[1], gso);
	return true;
}

/* Does a frame that comes under such a header reach the guest? */
static bool
comes(struct fixture *f, uint8_t flags, uint8_t gso, const uint8_t *to)
{
	uint32_t id, len;

	rx_fill(f, 0, 1, 400);
	arrive_as(f, 300, flags, gso, to);
	turns(f);
	if (!vring_take(&f->rx, &id, &len)) {
		/* What it did not take serves for the next. */
		arrive(f, 64);
		turns(f);
		ck_assert(vring_take(&f->rx, &id, &len));
		return false;
	}
	ck_assert_uint_eq(f->mem[RX_MEM], flags);
	ck_assert_uint_eq(f->mem[RX_MEM + 1], gso);
	return true;
}

static bool
use_csum(struct fixture *f)
{
	return sends(f, 1, 0);
}

static bool
use_host_tso4(struct fixture *f)
{
	return sends(f, 1, 1);
}

static bool
use_host_tso6(struct fixture *f)
{
	return sends(f, 1, 4);
}

static bool
use_host_ecn(struct fixture *f)
{
	return sends(f, 1, 0x81);
}

static bool
use_host_uso(struct fixture *f)
{
	return sends(f, 1, 5);
}

static bool
use_guest_csum(struct fixture *f)
{
	return comes(f, 1, 0, own_mac);
}

static bool
use_guest_tso4(struct fixture *f)
{
	return (f->port.offload & NICPORT_TSO4) != 0 &&
	    comes(f, 1, 1, own_mac);
}

static bool
use_guest_tso6(struct fixture *f)
{
	return (f->port.offload & NICPORT_TSO6) != 0 &&
	    comes(f, 1, 4, own_mac);
}

static bool
use_guest_ecn(struct fixture *f)
{
	return (f->port.offload & NICPORT_ECN) != 0 &&
	    comes(f, 1, 0x81, own_mac);
}

static bool
use_guest_uso(struct fixture *f)
{
	return (f->port.offload & NICPORT_USO) != 0 &&
	    comes(f, 1, 5, own_mac);
}

/* A frame in two buffers. */
static bool
use_mrg_rxbuf(struct fixture *f)
{
	uint32_t id, len;

	rx_fill(f, 0, 2, 400);
	arrive(f, 500);
	turns(f);
	if (f->rx.seen == *(vring_used(&f->rx) + 1)) {
		ck_assert_uint_eq(stats(f).rx_too_long, 1);
		return false;
	}
	ck_assert(vring_take(&f->rx, &id, &len));
	ck_assert_uint_eq(len, 400);
	ck_assert_uint_eq(f->mem[RX_MEM + 10], 2);
	ck_assert(vring_take(&f->rx, &id, &len));
	ck_assert_uint_eq(len, 100);
	return true;
}

/* Configuration that is there whether it is read or not. */
static bool
use_mac(struct fixture *f)
{
	ck_assert_uint_eq(vguest_in(&f->g, 0x80, 4), 0x33221102);
	ck_assert_uint_eq(vguest_in(&f->g, 0x84, 2), 0x5544);
	return true;
}

static bool
use_mtu(struct fixture *f)
{
	ck_assert_uint_eq(vguest_in(&f->g, 0x8a, 2), MTU);
	return true;
}

static bool
use_status(struct fixture *f)
{
	bool told;

	f->port.ops->link(f->port.nic, false);
	told = vguest_in(&f->g, 0x40, 1) == VIRTIO_ISR_CONFIG;
	ck_assert_uint_eq(vguest_in(&f->g, 0x86, 2), 0);
	return told;
}

static bool
use_announce(struct fixture *f)
{
	virtio_net_announce(f->nic);
	if (vguest_in(&f->g, 0x86, 2) != 3)
		return command(f, 3, 0, NULL, 0) == 0;
	ck_assert_uint_eq(command(f, 3, 0, NULL, 0), 0);
	return vguest_in(&f->g, 0x86, 2) == 1;
}

/* A command that is carried out; without the queue none is. */
static bool
use_ctrl_vq(struct fixture *f)
{
	static const uint8_t off = 0;
	uint32_t id, len;
	uint16_t used;

	if ((f->port.offload & NICPORT_CSUM) == 0)
		return false;
	f->mem[CTL_MEM] = 0;
	vring_desc(&f->ctl, 0, CTL_MEM, 3, VRING_NEXT, 1);
	vring_desc(&f->ctl, 1, CTL_MEM + 8, 1, VRING_WRITE, 0);
	vring_offer(&f->ctl, 0);
	vguest_notify(&f->g, f->ctl_queue);
	turns(f);
	used = vring_used(&f->ctl)[1];
	if (used == 0)
		return false;
	ck_assert(vring_take(&f->ctl, &id, &len));
	return command(f, 0, 0, &off, 1) == 0;
}

static bool
use_ctrl_rx(struct fixture *f)
{
	static const uint8_t other[6] = { 2, 9 }, off = 0;

	return command(f, 0, 0, &off, 1) == 0 && !comes(f, 0, 0, other) &&
	    comes(f, 0, 0, own_mac);
}

/* All addresses of one machine each, but none of many. */
static bool
use_ctrl_rx_extra(struct fixture *f)
{
	static const uint8_t other[6] = { 2, 9 }, group[6] = { 1, 9 };
	static const uint8_t on = 1, off = 0;

	ck_assert_uint_eq(command(f, 0, 0, &off, 1), 0);
	return command(f, 0, 2, &on, 1) == 0 &&
	    command(f, 0, 3, &on, 1) == 0 && comes(f, 0, 0, other) &&
	    !comes(f, 0, 0, group);
}

static bool
use_ctrl_vlan(struct fixture *f)
{
	static const uint16_t id = 9;

	return command(f, 2, 0, &id, 2) == 0 && command(f, 2, 1, &id, 2) == 0;
}

static bool
use_ctrl_mac(struct fixture *f)
{
	static const uint8_t other[6] = { 2, 9, 9, 9, 9, 9 };

	return command(f, 1, 1, other, 6) == 0 &&
	    vguest_in(&f->g, 0x80, 4) == 0x09090902;
}

static bool
use_ctrl_offloads(struct fixture *f)
{
	static const uint64_t none = 0;

	ck_assert_uint_eq(f->port.offload, NICPORT_CSUM);
	return command(f, 5, 0, &none, 8) == 0 && f->port.offload == 0;
}

static bool
use_mq(struct fixture *f)
{
	static const uint16_t two = 2;

	ck_assert_uint_eq(vguest_in(&f->g, 0x88, 2), 2);
	return command(f, 4, 0, &two, 2) == 0 && f->port.queues == 2;
}

static const struct {
	const char	*name;
	unsigned	 bit;
	uint64_t	 with;		/* what it stands on */
	bool		(*use)(struct fixture *f);
	bool		 always;	/* works for those who do not ask */
} rows[] = {
	{ "NET_F_CSUM", 0, 0, use_csum, false },
	{ "NET_F_GUEST_CSUM", 1, 0, use_guest_csum, false },
	{ "NET_F_CTRL_GUEST_OFFLOADS", 2, CTL | GUEST_CSUM,
	    use_ctrl_offloads, false },
	{ "NET_F_MTU", 3, 0, use_mtu, true },
	{ "NET_F_MAC", 5, 0, use_mac, true },
	{ "NET_F_GUEST_TSO4", 7, GUEST_CSUM, use_guest_tso4, false },
	{ "NET_F_GUEST_TSO6", 8, GUEST_CSUM, use_guest_tso6, false },
	{ "NET_F_GUEST_ECN", 9, GUEST_CSUM | 1ull << 7, use_guest_ecn,
	    false },
	{ "NET_F_HOST_TSO4", 11, CSUM, use_host_tso4, false },
	{ "NET_F_HOST_TSO6", 12, CSUM, use_host_tso6, false },
	{ "NET_F_HOST_ECN", 13, CSUM | 1ull << 11, use_host_ecn, false },
	{ "NET_F_MRG_RXBUF", 15, 0, use_mrg_rxbuf, false },
	{ "NET_F_STATUS", 16, 0, use_status, false },
	{ "NET_F_CTRL_VQ", 17, GUEST_CSUM | 1ull << 18, use_ctrl_vq, false },
	{ "NET_F_CTRL_RX", 18, CTL, use_ctrl_rx, false },
	{ "NET_F_CTRL_VLAN", 19, CTL, use_ctrl_vlan, false },
	{ "NET_F_CTRL_RX_EXTRA", 20, CTL | 1ull << 18, use_ctrl_rx_extra,
	    false },
	{ "NET_F_GUEST_ANNOUNCE", 21, CTL | 1ull << 16, use_announce, false },
	{ "NET_F_MQ", 22, CTL, use_mq, false },
	{ "NET_F_CTRL_MAC_ADDR", 23, CTL, use_ctrl_mac, false },
	{ "NET_F_GUEST_USO4", 54, GUEST_CSUM | 1ull << 55, use_guest_uso,
	    false },
	{ "NET_F_GUEST_USO6", 55, GUEST_CSUM | 1ull << 54, use_guest_uso,
	    false },
	{ "NET_F_HOST_USO", 56, CSUM, use_host_uso, false },
};

#define NROWS	(sizeof(rows) / sizeof(rows[0]))

START_TEST(with_and_without)
{
	struct fixture *f = setup_with(ALL_OFFLOADS, 2);
	uint64_t bit = 1ull << rows[_i].bit, with = V1 | rows[_i].with;

	ck_assert_msg((vguest_offered(&f->g) & bit) != 0, "%s",
	    rows[_i].name);
	start(f, 16, with | bit);
	ck_assert_msg(rows[_i].use(f), "%s does nothing", rows[_i].name);
	start(f, 16, with);
	ck_assert_msg(rows[_i].use(f) == rows[_i].always, "%s unasked for",
	    rows[_i].name);
	teardown(f);
}
END_TEST

/* Ports that can do less: what each bit of theirs stands for. */
START_TEST(what_the_port_can)
{
	static const uint64_t bits[] = {
		1ull << 0 | 1ull << 1, 1ull << 7 | 1ull << 11,
		1ull << 8 | 1ull << 12, 1ull << 9 | 1ull << 13,
		7ull << 54,
	};
	uint64_t none, offered, want;
	unsigned i, k;
	struct fixture *f = setup_with(0, 1);

	none = vguest_offered(&f->g);
	teardown(f);
	for (i = 1; i <= ALL_OFFLOADS; i++) {
		f = setup_with(i, 1);
		want = none | 1 << 2;
		for (k = 0; k < 5; k++)
			want |= (i >> k & 1) != 0 ? bits[k] : 0;
		offered = vguest_offered(&f->g);
		ck_assert_uint_eq(offered, want);
		teardown(f);
	}
}
END_TEST

/* What is offered is here, and what is not is refused. */
START_TEST(no_others)
{
	struct fixture *f = setup_with(ALL_OFFLOADS, 1 + (unsigned)_i);
	uint64_t offered = vguest_offered(&f->g), known = 3ull << 28 | V1;
	unsigned i;

	for (i = 0; i < NROWS; i++)
		known |= 1ull << rows[i].bit;
	ck_assert_uint_eq(offered & ~known, 0);
	for (i = 0; i < 64; i++)
		ck_assert_uint_eq(vguest_negotiate(&f->g, V1 | 1ull << i),
		    (offered >> i & 1) != 0 ? 0x0b : 0x03);
	teardown(f);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("virtio_net_features");

	tcase_add_loop_test(tc, with_and_without, 0, NROWS);
	tcase_add_test(tc, what_the_port_can);
	tcase_add_loop_test(tc, no_others, 0, 2);
	return test_main("virtio_net_features", tc);
}
