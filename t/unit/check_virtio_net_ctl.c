/* SPDX-License-Identifier: ISC */
/*
 * virtio-net's control queue and what is set by it: filters, addresses,
 * offloads, pairs of queues; its configuration while that changes; and its
 * state, saved.
 */
#include <pthread.h>

#include "nicrig.h"

#define CTRL_ALL	(V1 | MRG | CTL | 3ull << 1 | 3ull << 7 | \
	1ull << 16 | 7ull << 18 | 1ull << 21 | 1ull << 23)
#define MQ		(1ull << 22)

enum { RX, MAC, VLAN, ANNOUNCE, PAIRS, OFFLOADS };	/* classes */

static uint8_t
set_byte(struct fixture *f, uint8_t class, uint8_t cmd, uint8_t val)
{
	return command(f, class, cmd, &val, 1);
}

/* Does a frame to this address, of this VLAN or none (-1), reach the guest? */
static bool
reaches(struct fixture *f, const uint8_t *to, int vlan)
{
	uint8_t data[100] = { 0 };
	uint32_t id, len;

	memcpy(data + HDR, to, 6);
	if (vlan >= 0) {
		data[HDR + 12] = 0x81;
		data[HDR + 14] = (uint8_t)(0xe0 | vlan >> 8);
		data[HDR + 15] = (uint8_t)vlan;
	}
	frames_add(&f->port.waiting[0], data, sizeof(data));
	turns(f);
	ck_assert_uint_eq(f->port.waiting[0].n, 0);
	if (!vring_take(&f->rx, &id, &len))
		return false;
	rx_offer(f, id);
	vguest_notify(&f->g, 0);
	return true;
}

static const uint8_t other_mac[6] = { 2, 9, 9, 9, 9, 9 };
static const uint8_t group_mac[6] = { 1, 0, 0x5e, 0, 0, 9 };
static const uint8_t all_macs[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

/* o: own, u: another unicast, m: multicast, b: broadcast */
static void
expect_reach(struct fixture *f, const char *who)
{
	ck_assert(reaches(f, own_mac, -1) == (strchr(who, 'o') != NULL));
	ck_assert(reaches(f, other_mac, -1) == (strchr(who, 'u') != NULL));
	ck_assert(reaches(f, group_mac, -1) == (strchr(who, 'm') != NULL));
	ck_assert(reaches(f, all_macs, -1) == (strchr(who, 'b') != NULL));
}

START_TEST(modes)
{
	static const struct {
		uint8_t		cmd, val;
		const char	*who;
	} row[] = {
		{ 0, 0, "ob" }, { 1, 1, "omb" }, { 3, 1, "ob" },
		{ 3, 0, "omb" }, { 1, 0, "ob" }, { 2, 1, "oub" },
		{ 4, 7, "b" }, { 5, 1, "" }, { 0, 1, "oumb" }, { 0, 0, "" },
		{ 4, 0, "ou" }, { 2, 0, "o" }, { 5, 0, "ob" },
	};
	struct fixture *f = setup();
	uint64_t filtered;
	unsigned i;

	start(f, 16, CTRL_ALL);
	rx_fill(f, 0, 16, 128);
	expect_reach(f, "oumb");
	ck_assert_uint_eq(stats(f).rx_filtered, 0);
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		ck_assert_uint_eq(set_byte(f, RX, row[i].cmd, row[i].val), 0);
		filtered = stats(f).rx_filtered;
		expect_reach(f, row[i].who);
		ck_assert_uint_eq(stats(f).rx_filtered - filtered,
		    4 - strlen(row[i].who));
	}
	/* A reset forgets it. */
	start(f, 16, CTRL_ALL);
	rx_fill(f, 0, 16, 128);
	expect_reach(f, "oumb");
	teardown(f);
}
END_TEST

/* Both tables of n addresses each, ending in `other` and `group`. */
static uint32_t
put_tables(uint8_t *p, uint32_t n)
{
	uint8_t *start = p;
	unsigned k;

	for (k = 0; k < 2; k++) {
		memcpy(p, &n, 4);
		memset(p + 4, 0, (size_t)n * 6);
		p += 4 + n * 6;
		if (n != 0)
			memcpy(p - 6, k == 0 ? other_mac : group_mac, 6);
	}
	return (uint32_t)(p - start);
}

START_TEST(mac_tables)
{
	static const uint32_t sizes[] = { 1, 2, 64, 65, 1000 };
	static const uint8_t third[6] = { 2, 7, 7, 7, 7, 7 };
	static uint8_t tables[20000];
	struct fixture *f = setup();
	uint32_t len, many = UINT32_MAX / 6 + 1;
	unsigned i;

	start(f, 16, CTRL_ALL);
	rx_fill(f, 0, 16, 128);
	ck_assert_uint_eq(set_byte(f, RX, 0, 0), 0);
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		len = put_tables(tables, sizes[i]);
		ck_assert_uint_eq(command(f, MAC, 0, tables, len), 0);
		expect_reach(f, "oumb");
		/* More than there is room for: all such. */
		ck_assert(reaches(f, third, -1) == (sizes[i] > 64));
		len = put_tables(tables, 0);
		ck_assert_uint_eq(command(f, MAC, 0, tables, len), 0);
		expect_reach(f, "ob");
	}
	/* A bad one changes nothing. */
	len = put_tables(tables, 3);
	ck_assert_uint_eq(command(f, MAC, 0, tables, len), 0);
	ck_assert_uint_eq(command(f, MAC, 0, tables, len - 1), 1);
	ck_assert_uint_eq(command(f, MAC, 0, tables, len + 1), 1);
	ck_assert_uint_eq(command(f, MAC, 0, tables, 22), 1);
	ck_assert_uint_eq(command(f, MAC, 0, tables, 3), 1);
	memcpy(tables, &many, 4);
	ck_assert_uint_eq(command(f, MAC, 0, tables, len), 1);
	expect_reach(f, "oumb");
	ck_assert(!reaches(f, third, -1));
	teardown(f);
}
END_TEST

START_TEST(vlans)
{
	static const uint16_t ids[] = { 0, 1, 7, 8, 255, 256, 4095 };
	struct fixture *f = setup();
	uint16_t beyond = 4096;
	unsigned i;

	start(f, 16, CTRL_ALL);
	rx_fill(f, 0, 16, 128);
	/* A driver that wants everything has it. */
	ck_assert(reaches(f, own_mac, 7));
	ck_assert_uint_eq(set_byte(f, RX, 0, 0), 0);
	for (i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		ck_assert(!reaches(f, own_mac, ids[i]));
		ck_assert_uint_eq(command(f, VLAN, 0, &ids[i], 2), 0);
		ck_assert(reaches(f, own_mac, ids[i]));
		ck_assert(!reaches(f, other_mac, ids[i]));
		ck_assert(!reaches(f, own_mac, ids[i] ^ 2));
		ck_assert(reaches(f, own_mac, -1));
		ck_assert_uint_eq(command(f, VLAN, 1, &ids[i], 2), 0);
		ck_assert(!reaches(f, own_mac, ids[i]));
	}
	ck_assert_uint_eq(command(f, VLAN, 0, &beyond, 2), 1);
	ck_assert_uint_eq(command(f, VLAN, 0, &beyond, 1), 1);
	/* One that does not filter them has them all. */
	start(f, 16, CTRL_ALL & ~(1ull << 19));
	rx_fill(f, 0, 16, 128);
	ck_assert_uint_eq(set_byte(f, RX, 0, 0), 0);
	ck_assert(reaches(f, own_mac, 7));
	teardown(f);
}
END_TEST

START_TEST(address)
{
	static const uint8_t bad[7] = { 1, 2, 3, 4, 5, 6, 7 };
	struct fixture *f = setup();
	uint8_t generation;

	start(f, 16, CTRL_ALL);
	rx_fill(f, 0, 16, 128);
	ck_assert_uint_eq(set_byte(f, RX, 0, 0), 0);
	generation = (uint8_t)vguest_in(&f->g, 0x15, 1);
	ck_assert_uint_eq(command(f, MAC, 1, bad, 6), 1);
	ck_assert_uint_eq(command(f, MAC, 1, bad + 1, 5), 1);
	ck_assert_uint_eq(vguest_in(&f->g, 0x15, 1), generation);
	expect_reach(f, "ob");
	ck_assert_uint_eq(command(f, MAC, 1, other_mac, 6), 0);
	ck_assert_uint_ne(vguest_in(&f->g, 0x15, 1), generation);
	ck_assert_uint_eq(vguest_in(&f->g, 0x80, 4), 0x09090902);
	expect_reach(f, "ub");
	vguest_set_status(&f->g, 0);
	ck_assert_uint_eq(vguest_in(&f->g, 0x80, 4), 0x33221102);
	teardown(f);
}
END_TEST

/* What is unknown, not agreed on, or of a wrong length, is refused. */
START_TEST(refused)
{
	static const uint8_t cmds[][2] = {
		{ RX, 0 }, { RX, 1 }, { RX, 2 }, { RX, 3 }, { RX, 4 },
		{ RX, 5 }, { MAC, 0 }, { MAC, 1 }, { VLAN, 0 }, { VLAN, 1 },
		{ ANNOUNCE, 0 }, { PAIRS, 0 }, { OFFLOADS, 0 },
	};
	static const uint8_t lens[] = { 1, 1, 1, 1, 1, 1, 8, 6, 2, 2, 0, 2, 8 };
	static const uint8_t zero[16], one[16] = { 1, 0 };
	struct fixture *f = setup_with(ALL_OFFLOADS, 2);
	unsigned i, k;

	start(f, 16, CTRL_ALL | MQ);
	for (i = 0; i < sizeof(cmds) / sizeof(cmds[0]); i++)
		for (k = 0; k < 16; k++)
			ck_assert_msg((command(f, cmds[i][0], cmds[i][1],
			    i == 11 ? one : zero, k) == 0) == (k == lens[i]),
			    "command %u of %u bytes", i, k);
	for (i = 0; i < 8; i++)
		for (k = i == RX ? 6 : 2; k < 256; k += 17)
			ck_assert_uint_eq(command(f, (uint8_t)i, (uint8_t)k,
			    zero, 8), 1);
	ck_assert_uint_eq(command(f, 255, 0, zero, 8), 1);
	start(f, 16, V1 | CTL);
	for (i = 0; i < sizeof(cmds) / sizeof(cmds[0]); i++)
		ck_assert_uint_eq(command(f, cmds[i][0], cmds[i][1], zero,
		    lens[i]), 1);
	teardown(f);
}
END_TEST

/* A chain without room for the answer; one with nothing to read; the cuts. */
START_TEST(chains_of_commands)
{
	struct fixture *f = setup();
	unsigned i, k;
	uint32_t id, len;

	start(f, 16, CTRL_ALL);
	memcpy(f->mem + CTL_MEM, "\1\1\2\3\4\5\6\7", 8);
	for (k = 1; k < 8; k++) {
		f->mem[CTL_MEM + 8] = 0xee;
		for (i = 0; i * k < 8; i++)
			vring_desc(&f->ctl, i, CTL_MEM + i * k,
			    8 - i * k < k ? 8 - i * k : k, VRING_NEXT,
			    (uint16_t)(i + 1));
		vring_desc(&f->ctl, i, CTL_MEM + 8, 5, VRING_WRITE, 0);
		vring_offer(&f->ctl, 0);
		vguest_notify(&f->g, 2);
		turns(f);
		ck_assert(vring_take(&f->ctl, &id, &len));
		ck_assert_uint_eq(len, 1);
		ck_assert_uint_eq(f->mem[CTL_MEM + 8], 0);
		ck_assert_uint_eq(vguest_in(&f->g, 0x80, 4), 0x05040302);
	}
	vring_desc(&f->ctl, 0, CTL_MEM + 8, 1, VRING_WRITE, 0);
	vring_offer(&f->ctl, 0);
	vguest_notify(&f->g, 2);
	turns(f);
	ck_assert(vring_take(&f->ctl, &id, &len));
	ck_assert_uint_eq(f->mem[CTL_MEM + 8], 1);
	vring_desc(&f->ctl, 0, CTL_MEM, 8, 0, 0);
	vring_offer(&f->ctl, 0);
	vguest_notify(&f->g, 2);
	turns(f);
	ck_assert_uint_eq(vguest_status(&f->g), 0x4f);
	teardown(f);
}
END_TEST

/*
 * A flood of commands leaves other queues their turns; those that change the
 * port, here to nothing, all but one.
 */
START_TEST(turns_of_commands)
{
	static const unsigned many[2] = { 16, 1 }, last[2] = { 40, 3 };
	struct fixture *f = setup();
	uint32_t id, len;
	unsigned i, n = 0;

	ck_assert_uint_eq(vguest_negotiate(&f->g, CTRL_ALL), 0x0b);
	vguest_queue(&f->g, &f->ctl, 2, 256);
	vguest_set_status(&f->g, 0x0f);
	turns(f);
	memset(f->mem + CTL_MEM, 0, 16);
	f->mem[CTL_MEM] = _i == 0 ? RX : OFFLOADS;
	for (i = 0; i < 40; i++) {
		vring_desc(&f->ctl, 2 * i, CTL_MEM, _i == 0 ? 3 : 10,
		    VRING_NEXT, (uint16_t)(2 * i + 1));
		vring_desc(&f->ctl, 2 * i + 1, CTL_MEM + 16, 1, VRING_WRITE,
		    0);
		vring_offer(&f->ctl, (uint16_t)(2 * i));
	}
	vguest_notify(&f->g, 2);
	for (i = 0; i < 3; i++) {
		turn(f);
		while (vring_take(&f->ctl, &id, &len))
			n++;
		ck_assert_uint_eq(n, i < 2 ? many[_i] * (i + 1) : last[_i]);
	}
	teardown(f);
}
END_TEST

START_TEST(link_status)
{
	struct fixture *f = setup();
	uint8_t generation;

	/* Before a driver is there, and after it said it does not look. */
	f->port.ops->link(f->port.nic, false);
	ck_assert_uint_eq(vguest_in(&f->g, 0x86, 2), 0);
	f->port.ops->link(f->port.nic, true);
	start(f, 16, V1);
	f->port.ops->link(f->port.nic, false);
	ck_assert_uint_eq(vguest_in(&f->g, 0x40, 1), 0);
	f->port.ops->link(f->port.nic, true);
	start(f, 16, CTRL_ALL);
	ck_assert_uint_eq(vguest_in(&f->g, 0x86, 2), 1);
	ck_assert_uint_eq(vguest_in(&f->g, 0x40, 1), 0);
	generation = (uint8_t)vguest_in(&f->g, 0x15, 1);
	f->port.ops->link(f->port.nic, true);
	ck_assert_uint_eq(vguest_in(&f->g, 0x40, 1), 0);
	f->port.ops->link(f->port.nic, false);
	ck_assert_uint_eq(vguest_wait_irq(&f->g), VIRTIO_ISR_CONFIG);
	ck_assert_uint_eq(vguest_in(&f->g, 0x86, 2), 0);
	ck_assert_uint_ne(vguest_in(&f->g, 0x15, 1), generation);
	/* What changes while the guest is stopped it hears of afterwards. */
	stop(f);
	f->port.ops->link(f->port.nic, true);
	ck_assert_uint_eq(vguest_in(&f->g, 0x40, 1), 0);
	virtio_pci_resume(f->vp);
	ck_assert_uint_eq(vguest_wait_irq(&f->g), VIRTIO_ISR_CONFIG);
	ck_assert_uint_eq(vguest_in(&f->g, 0x86, 2), 1);
	teardown(f);
}
END_TEST

START_TEST(announcing)
{
	struct fixture *f = setup();

	virtio_net_announce(f->nic);
	ck_assert_uint_eq(vguest_in(&f->g, 0x86, 2), 1);
	start(f, 16, V1 | CTL | 1ull << 16);
	virtio_net_announce(f->nic);
	ck_assert_uint_eq(vguest_in(&f->g, 0x86, 2), 1);
	start(f, 16, CTRL_ALL);
	virtio_net_announce(f->nic);
	ck_assert_uint_eq(vguest_wait_irq(&f->g), VIRTIO_ISR_CONFIG);
	ck_assert_uint_eq(vguest_in(&f->g, 0x86, 2), 3);
	ck_assert_uint_eq(command(f, ANNOUNCE, 0, NULL, 0), 0);
	ck_assert_uint_eq(vguest_in(&f->g, 0x86, 2), 1);
	ck_assert_uint_eq(vguest_in(&f->g, 0x40, 1), VIRTIO_ISR_QUEUE);
	/* Unanswered, it ends with a reset. */
	virtio_net_announce(f->nic);
	vguest_set_status(&f->g, 0);
	ck_assert_uint_eq(vguest_in(&f->g, 0x86, 2), 1);
	teardown(f);
}
END_TEST

/* A driver keeps the MTU that it has found. */
START_TEST(mtu)
{
	struct fixture *f = setup();

	start(f, 16, V1 | 1ull << 3);
	virtio_net_set_mtu(f->nic, 9000);
	ck_assert_uint_eq(vguest_in(&f->g, 0x8a, 2), MTU);
	ck_assert_uint_eq(vguest_in(&f->g, 0x40, 1), 0);
	vguest_set_status(&f->g, 0);
	ck_assert_uint_eq(vguest_in(&f->g, 0x8a, 2), 9000);
	teardown(f);
}
END_TEST

/*
 * A frame that is longer than the guest's MTU finds too little held.  It
 * goes on when the turn's share is used up by it, though no other follows.
 */
START_TEST(a_long_frame_is_the_last)
{
	struct fixture *f = setup();
	unsigned i;

	start(f, 256, V1 | MRG);
	rx_fill(f, 0, 140, 1600);
	turns(f);
	for (i = 0; i < 127; i++)
		arrive(f, 100);
	arrive(f, 3000);
	turns(f);
	for (i = 0; i < 127; i++)
		rx_expect(f, 100, 1);
	rx_expect(f, 3000, 2);
	ck_assert_uint_eq(stats(f).rx_too_long, 0);
	teardown(f);
}
END_TEST

START_TEST(offloads)
{
	static const struct {
		uint64_t	set;
		uint8_t		answer;
		unsigned	port;
	} row[] = {
		{ 0, 0, 0 },
		{ 1 << 1, 0, NICPORT_CSUM },
		{ 1 << 1 | 1 << 7, 0, NICPORT_CSUM | NICPORT_TSO4 },
		{ 1 << 1 | 1 << 9, 1, NICPORT_CSUM | NICPORT_TSO4 },
		{ 1 << 0, 1, NICPORT_CSUM | NICPORT_TSO4 },
		{ 1 << 15, 1, NICPORT_CSUM | NICPORT_TSO4 },
		{ 1ull << 63, 1, NICPORT_CSUM | NICPORT_TSO4 },
		{ 1 << 7, 0, 0 },
		{ 1 << 1 | 1 << 8, 0, NICPORT_CSUM | NICPORT_TSO6 },
	};
	struct fixture *f = setup();
	uint64_t set = 1 << 1;
	unsigned i;

	start(f, 16, CTRL_ALL);
	ck_assert_uint_eq(f->port.offload,
	    NICPORT_CSUM | NICPORT_TSO4 | NICPORT_TSO6);
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		ck_assert_uint_eq(command(f, OFFLOADS, 0, &row[i].set, 8),
		    row[i].answer);
		ck_assert_uint_eq(f->port.offload, row[i].port);
	}
	f->port.error = -EIO;
	ck_assert_uint_eq(command(f, OFFLOADS, 0, &set, 8), 1);
	ck_assert_uint_eq(vguest_status(&f->g), 0x0f);
	f->port.error = 0;
	/* They outlive a stop, not a reset. */
	stop(f);
	f->port.offload = 0;
	virtio_pci_resume(f->vp);
	ck_assert_uint_eq(f->port.offload, NICPORT_CSUM | NICPORT_TSO6);
	start(f, 16, CTRL_ALL);
	ck_assert_uint_eq(f->port.offload,
	    NICPORT_CSUM | NICPORT_TSO4 | NICPORT_TSO6);
	/* A port that cannot is no port to start with. */
	vguest_set_status(&f->g, 0);
	f->port.error = -EIO;
	vguest_negotiate(&f->g, CTRL_ALL);
	vguest_set_status(&f->g, 0x0f);
	ck_assert_uint_eq(vguest_status(&f->g), 0x4f);
	f->port.error = 0;
	teardown(f);
}
END_TEST

static void
set_pairs(struct fixture *f, uint16_t n, uint8_t answer)
{
	ck_assert_uint_eq(command(f, PAIRS, 0, &n, 2), answer);
}

/* A frame that waits for room does more than is allowed from now on. */
START_TEST(offloads_change_while_a_frame_waits)
{
	struct fixture *f = setup();
	uint64_t set = 1 << 1;

	start(f, 64, V1 | MRG | CTL | 1 << 2 | 1ull << 1 | 1ull << 7);
	rx_fill(f, 0, 10, 1536);
	arrive_as(f, 60000, 1, 1, own_mac);
	arrive(f, 100);
	turns(f);
	ck_assert(rx_idle(f));
	ck_assert_uint_eq(f->port.wanted[0], 0);
	ck_assert_uint_eq(command(f, OFFLOADS, 0, &set, 8), 0);
	turns(f);
	ck_assert_uint_eq(stats(f).rx_malformed, 1);
	rx_expect(f, 100, 1);
	/* What allows more leaves what waits. */
	set |= 1 << 7;
	ck_assert_uint_eq(command(f, OFFLOADS, 0, &set, 8), 0);
	arrive_as(f, 60000, 1, 1, own_mac);
	turns(f);
	ck_assert(rx_idle(f));
	ck_assert_uint_eq(command(f, OFFLOADS, 0, &set, 8), 0);
	rx_fill(f, 10, 31, 1536);
	turns(f);
	rx_expect(f, 60000, 40);
	teardown(f);
}
END_TEST

START_TEST(pairs_of_queues)
{
	struct fixture *f = setup_with(ALL_OFFLOADS, 3);
	struct vring tx2;
	uint32_t id, len;

	start(f, 16, CTRL_ALL | MQ);
	ck_assert_uint_eq(f->ctl_queue, 6);
	vguest_set_status(&f->g, 0);
	ck_assert_uint_eq(vguest_negotiate(&f->g, CTRL_ALL | MQ), 0x0b);
	vguest_queue(&f->g, &f->rx, 2, 16);	/* of pair 1 */
	vguest_queue(&f->g, &tx2, 3, 16);
	vguest_queue(&f->g, &f->ctl, 6, 16);
	vguest_set_status(&f->g, 0x0f);
	turns(f);
	/* A pair that is not in use rests. */
	tx_write(f, HDR + 100);
	vring_desc(&tx2, 0, TX_MEM, HDR + 100, 0, 0);
	vring_offer(&tx2, 0);
	vguest_notify(&f->g, 3);
	f->buf_len = 128;
	rx_offer(f, 0);
	rx_offer(f, 1);
	vguest_notify(&f->g, 2);
	turns(f);
	ck_assert_uint_eq(f->port.queues, 1);
	ck_assert_uint_eq(f->port.sent[1].n, 0);
	set_pairs(f, 0, 1);
	set_pairs(f, 4, 1);
	set_pairs(f, 0xffff, 1);
	set_pairs(f, 3, 0);
	turns(f);
	ck_assert_uint_eq(f->port.queues, 3);
	ck_assert_uint_eq(f->port.sent[1].n, 1);
	ck_assert_uint_eq(f->port.sent[0].n, 0);
	ck_assert_uint_eq(f->port.wanted[1], NICPORT_RECV);
	/* One that is no longer used leaves what it held, and goes on later. */
	set_pairs(f, 1, 0);
	ck_assert_uint_eq(f->port.queues, 1);
	frames_add(&f->port.waiting[1], f->mem + TX_MEM, HDR + 100);
	turns(f);
	ck_assert(rx_idle(f));
	f->port.error = -EIO;
	set_pairs(f, 2, 1);
	f->port.error = 0;
	set_pairs(f, 2, 0);
	turns(f);
	ck_assert(vring_take(&f->rx, &id, &len));
	ck_assert_uint_eq(len, HDR + 100);
	/* A refusal leaves them as they were. */
	f->port.error = -EIO;
	set_pairs(f, 1, 1);
	f->port.error = 0;
	ck_assert_uint_eq(f->port.wanted[1], NICPORT_RECV);
	frames_add(&f->port.waiting[1], f->mem + TX_MEM, HDR + 100);
	turns(f);
	ck_assert(vring_take(&f->rx, &id, &len));
	teardown(f);
}
END_TEST

/* Everything a driver sets, in one that was saved and is another now. */
START_TEST(saved_and_loaded)
{
	struct fixture *f = setup_with(ALL_OFFLOADS, 3);
	struct fixture *to = setup_with(ALL_OFFLOADS, 3);
	static uint8_t tables[1000];
	uint64_t set = 1 << 1 | 1 << 7;
	uint16_t vlan = 77;
	uint32_t len = put_tables(tables, 64);
	uint8_t mac[6] = { 2, 3, 3, 3, 3, 3 };

	virtio_net_set_mtu(f->nic, 1400);
	start(f, 16, CTRL_ALL | MQ);
	rx_fill(f, 0, 16, 128);
	ck_assert_uint_eq(set_byte(f, RX, 0, 0), 0);
	ck_assert_uint_eq(command(f, MAC, 0, tables, len), 0);
	ck_assert_uint_eq(command(f, MAC, 1, mac, 6), 0);
	ck_assert_uint_eq(command(f, VLAN, 0, &vlan, 2), 0);
	ck_assert_uint_eq(command(f, OFFLOADS, 0, &set, 8), 0);
	set_pairs(f, 2, 0);
	f->port.room = 0;
	tx_offer(f, 0, HDR + 100);
	vguest_notify(&f->g, 1);
	virtio_net_announce(f->nic);
	turns(f);
	(void)vguest_in(&f->g, 0x40, 1);
	stop(f);
	stop(to);
	testhost_round_trip(&virtio_pci_ops, f->vp, to->vp);
	memcpy(to->mem, f->mem, VGUEST_MEM);
	to->rx = f->rx;
	to->rx.mem = to->mem;
	to->tx = f->tx;
	to->tx.mem = to->mem;
	to->buf_len = 128;
	vguest_set_conf(&to->g, 1, 0x04, 2, 1);
	virtio_pci_resume(to->vp);
	turns(to);
	ck_assert_uint_eq(to->port.queues, 2);
	ck_assert_uint_eq(to->port.offload, NICPORT_CSUM | NICPORT_TSO4);
	ck_assert_uint_eq(to->port.sent[0].n, 1);
	ck_assert(reaches(to, mac, -1));
	ck_assert(!reaches(to, own_mac, -1));
	ck_assert(reaches(to, other_mac, 77));
	ck_assert(!reaches(to, group_mac, 78));
	ck_assert_uint_eq(vguest_in(&to->g, 0x86, 2), 3);
	ck_assert_uint_eq(vguest_in(&to->g, 0x8a, 2), 1400);
	teardown(f);
	teardown(to);
}
END_TEST

/* A driver that was loaded is told of the link only if it is another. */
START_TEST(link_after_loading)
{
	struct fixture *f = setup(), *to = setup();
	bool was = (_i & 1) != 0, is = (_i & 2) != 0;

	start(f, 16, CTRL_ALL);
	f->port.ops->link(f->port.nic, was);
	(void)vguest_in(&f->g, 0x40, 1);
	stop(f);
	stop(to);
	to->port.ops->link(to->port.nic, is);
	testhost_round_trip(&virtio_pci_ops, f->vp, to->vp);
	memcpy(to->mem, f->mem, VGUEST_MEM);
	vguest_set_conf(&to->g, 1, 0x04, 2, 1);
	virtio_pci_resume(to->vp);
	turns(to);
	ck_assert_uint_eq(vguest_in(&to->g, 0x40, 1),
	    was != is ? VIRTIO_ISR_CONFIG : 0);
	ck_assert_uint_eq(vguest_in(&to->g, 0x86, 2), is);
	teardown(f);
	teardown(to);
}
END_TEST

/* More pairs than a driver without that feature has queues for. */
START_TEST(pairs_that_were_not_agreed_on)
{
	struct fixture *f = setup_with(ALL_OFFLOADS, 2);
	struct fixture *to = setup_with(ALL_OFFLOADS, 2);
	const struct virtio_dev_ops *ops = virtio_net_ops(f->nic);
	struct state_writer w;
	struct state_reader r;
	struct buf b;

	buf_init(&b, 4096);
	w = (struct state_writer){ &b };
	start(f, 16, CTRL_ALL | MQ);
	set_pairs(f, 2, 0);
	stop(f);
	stop(to);
	ck_assert_int_eq(ops->save(f->nic, &w), 0);
	r = (struct state_reader){ (const uint8_t *)buf_head(&b), b.len };
	ck_assert_int_eq(ops->load(to->nic, CTRL_ALL, &r), -EINVAL);
	r = (struct state_reader){ (const uint8_t *)buf_head(&b), b.len };
	ck_assert_int_eq(ops->load(to->nic, CTRL_ALL | MQ, &r), 0);
	buf_free(&b);
	teardown(f);
	teardown(to);
}
END_TEST

static void
use(void *dev)
{
	virtio_pci_ops.reset(dev);
}

START_TEST(corrupt_states)
{
	struct fixture *f = setup_with(ALL_OFFLOADS, 2);
	struct fixture *to = setup_with(ALL_OFFLOADS, 2);
	struct fixture *other = setup_with(ALL_OFFLOADS, 3);
	struct buf b;

	start(f, 16, CTRL_ALL);
	rx_fill(f, 0, 16, 128);
	stop(f);
	stop(to);
	stop(other);
	testhost_corrupt(&virtio_pci_ops, f->vp, to->vp, use);
	testhost_save(&virtio_pci_ops, f->vp, &b);
	ck_assert_int_ne(testhost_load(&virtio_pci_ops, other->vp, &b), 0);
	buf_free(&b);
	use(to->vp);
	use(other->vp);
	teardown(f);
	teardown(to);
	teardown(other);
}
END_TEST

/* A loop on its own thread, where the link goes up and down. */
struct flapper {
	struct fixture	*f;
	ev_timer	 timer;
	sem_t		 ready;
	bool		 up;
	atomic_bool	 done;
};

static void
flap(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct flapper *fl = w->data;

	(void)ev;
	(void)revents;
	fl->up = !fl->up;
	fl->f->port.ops->link(fl->f->port.nic, fl->up);
	if (atomic_load(&fl->done))
		loop_break(fl->f->g.t.host.loop);
}

static void *
loop_thread(void *arg)
{
	struct flapper *fl = arg;
	struct fixture *f = fl->f;

	setup_nic(f, loop_create(), ALL_OFFLOADS, 1);
	f->g.threaded = true;
	ev_timer_init(&fl->timer, flap, 0.002, 0.002);
	fl->timer.data = fl;
	ev_timer_start(loop_ev(f->g.t.host.loop), &fl->timer);
	sem_post(&fl->ready);
	loop_run(f->g.t.host.loop);
	ev_timer_stop(loop_ev(f->g.t.host.loop), &fl->timer);
	f->g.threaded = false;
	teardown(f);
	return NULL;
}

START_TEST(a_vcpu_reads_what_the_loop_changes)
{
	struct flapper fl = { .f = calloc(1, sizeof(*fl.f)) };
	unsigned seen[2] = { 0 };
	pthread_t thread;

	ck_assert_ptr_nonnull(fl.f);
	sem_init(&fl.ready, 0, 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, loop_thread, &fl), 0);
	while (sem_wait(&fl.ready) != 0)
		continue;
	ck_assert_uint_eq(vguest_negotiate(&fl.f->g, CTRL_ALL), 0x0b);
	vguest_set_status(&fl.f->g, 0x0f);
	while (seen[0] < 5 || seen[1] < 5) {
		ck_assert_uint_eq(vguest_wait_irq(&fl.f->g),
		    VIRTIO_ISR_CONFIG);
		seen[vguest_in(&fl.f->g, 0x86, 2) & 1]++;
		ck_assert_uint_eq(vguest_in(&fl.f->g, 0x80, 4), 0x33221102);
	}
	atomic_store(&fl.done, true);
	pthread_join(thread, NULL);
	sem_destroy(&fl.ready);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("virtio_net_ctl");

	tcase_add_test(tc, modes);
	tcase_add_test(tc, mac_tables);
	tcase_add_test(tc, vlans);
	tcase_add_test(tc, address);
	tcase_add_test(tc, refused);
	tcase_add_test(tc, chains_of_commands);
	tcase_add_loop_test(tc, turns_of_commands, 0, 2);
	tcase_add_test(tc, link_status);
	tcase_add_test(tc, announcing);
	tcase_add_test(tc, mtu);
	tcase_add_test(tc, a_long_frame_is_the_last);
	tcase_add_test(tc, offloads);
	tcase_add_test(tc, offloads_change_while_a_frame_waits);
	tcase_add_test(tc, pairs_of_queues);
	tcase_add_test(tc, saved_and_loaded);
	tcase_add_loop_test(tc, link_after_loading, 0, 4);
	tcase_add_test(tc, pairs_that_were_not_agreed_on);
	tcase_add_test(tc, corrupt_states);
	tcase_add_test(tc, a_vcpu_reads_what_the_loop_changes);
	return test_main("virtio_net_ctl", tc);
}
