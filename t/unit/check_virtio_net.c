/* SPDX-License-Identifier: ISC */
/*
 * virtio-net's frames, both ways: how they lie in memory, what is refused of
 * them, what happens when the port or the guest has no room, and what one turn
 * of the loop does at most.  check_virtio_net_ctl.c has the rest.
 */
#include "nicrig.h"

START_TEST(what_the_driver_sees)
{
	struct fixture *f = setup_with(0, 1);
	const uint64_t core = 1ull << 32 | 3ull << 28 | 0xbf8028;

	ck_assert_uint_eq(vguest_conf(&f->g, 1, 0, 4), 0x10411af4);
	ck_assert_uint_eq(vguest_conf(&f->g, 1, 0x0a, 2), 0x0200);
	ck_assert_uint_eq(vguest_offered(&f->g), core);
	ck_assert_uint_eq(vguest_in(&f->g, 0x12, 2), 3);
	ck_assert_uint_eq(vguest_in(&f->g, 0x80, 4), 0x33221102);
	teardown(f);
	f = setup_with(ALL_OFFLOADS, 4);
	ck_assert_uint_eq(vguest_offered(&f->g), core | 1ull << 22 | 0x3b87 |
	    7ull << 54);
	ck_assert_uint_eq(vguest_in(&f->g, 0x12, 2), 9);
	ck_assert_uint_eq(vguest_in(&f->g, 0x84, 4), 0x00015544);
	ck_assert_uint_eq(vguest_in(&f->g, 0x88, 2), 4);
	ck_assert_uint_eq(vguest_in(&f->g, 0x8a, 2), MTU);
	ck_assert_uint_eq(vguest_in(&f->g, 0x8c, 4), 0xffffffff);
	teardown(f);
}
END_TEST

/* One chain, its frame cut at every `step` bytes. */
static void
tx_offer_cut(struct fixture *f, uint32_t len, uint32_t step)
{
	uint32_t at, n;
	unsigned i = 0;

	for (at = 0; at < len; at += n, i++) {
		n = len - at < step ? len - at : step;
		vring_desc(&f->tx, i, TX_MEM + at, n,
		    at + n < len ? VRING_NEXT : 0, (uint16_t)(i + 1));
	}
	vring_offer(&f->tx, 0);
}

START_TEST(sends_however_it_lies)
{
	static const uint32_t steps[] = { 5, 25, 611, 3, 12, 257, 11, 13, 700, 5,
	    24, 59 };
	static const uint32_t lens[] = { 612, 257, 256, 60 };
	struct fixture *f = setup();
	const struct frame *sent = &f->port.sent[0].f[0];
	unsigned i, len;

	start(f, 256, V1);
	tx_write(f, 612);
	/* A driver that leaves the buffer count as it was. */
	f->mem[TX_MEM + 10] = 7;
	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		len = lens[i / 3];
		tx_offer_cut(f, len, steps[i]);
		vguest_notify(&f->g, 1);
		turn(f);
		ck_assert_uint_eq(tx_done(f), 1);
		ck_assert_uint_eq(f->port.sent[0].n, 1);
		ck_assert_uint_eq(sent->len, len);
		ck_assert_uint_eq(sent->data[10], 0);
		ck_assert_mem_eq(sent->data, f->mem + TX_MEM, 10);
		ck_assert_mem_eq(sent->data + HDR, f->mem + TX_MEM + HDR,
		    len - HDR);
		frames_drop(&f->port.sent[0]);
	}
	ck_assert_uint_eq(stats(f).tx_packets, i);
	ck_assert_uint_eq(stats(f).tx_bytes, 3 * (600 + 245 + 244 + 48));
	ck_assert_uint_eq(f->port.sends, i);
	teardown(f);
}
END_TEST

/* The shortest and the longest frames, and those beyond. */
START_TEST(lengths_of_frames_sent)
{
	static const struct {
		uint32_t	len;
		bool		sent;
	} row[] = {
		{ 1, false }, { HDR, false }, { HDR + 13, false },
		{ HDR + 14, true }, { NICPORT_FRAME_MAX, true },
		{ NICPORT_FRAME_MAX + 1, false }, { 0x180000, false },
	};
	struct fixture *f = setup();
	unsigned i, sent = 0, bad = 0;

	start(f, 16, V1);
	tx_write(f, NICPORT_FRAME_MAX + 1);
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		tx_offer(f, 0, row[i].len);
		vguest_notify(&f->g, 1);
		turn(f);
		ck_assert_uint_eq(tx_done(f), 1);
		sent += row[i].sent;
		bad += !row[i].sent;
		ck_assert_uint_eq(f->port.sent[0].n, sent);
		ck_assert_uint_eq(stats(f).tx_malformed, bad);
	}
	/* A chain that is only to be written is no frame either. */
	vring_desc(&f->tx, 0, TX_MEM, 64, VRING_WRITE, 0);
	vring_offer(&f->tx, 0);
	vguest_notify(&f->g, 1);
	turn(f);
	ck_assert_uint_eq(tx_done(f), 1);
	ck_assert_uint_eq(stats(f).tx_malformed, bad + 1);
	ck_assert_uint_eq(vguest_status(&f->g), 0x0f);
	teardown(f);
}
END_TEST

#define FRAME	200u	/* without the header */

/* Headers, of frames of FRAME bytes: what comes out, or that nothing does. */
static const struct {
	uint8_t		flags, gso;
	uint16_t	hdr_len, gso_size, start, offset;
	bool		sent;
	bool		cleared;	/* the rest means nothing */
} header_row[] = {
	{ 0, 0, 0, 0, 0, 0, true, false },
	{ 0, 0, 9, 9, 9, 9, true, true },
	{ 0xfe, 0, 9, 9, 0xffff, 0xffff, true, true },
	{ 1, 0, 0, 0, 34, 16, true, false },
	{ 1, 0, 0, 0, 14, 16, true, false },
	{ 1, 0, 0, 0, 13, 16, false, false },
	{ 1, 0, 0, 0, 34, FRAME - 36, true, false },
	{ 1, 0, 0, 0, 34, FRAME - 35, false, false },
	{ 1, 0, 0, 0, 0xffff, 0xffff, false, false },
	{ 1, 0, 0, 0, 34, 0xffff, false, false },
	{ 1, 1, 54, 100, 34, 16, true, false },
	{ 1, 4, 74, 100, 54, 16, true, false },
	{ 1, 5, 42, 100, 34, 6, true, false },
	{ 1, 0x81, 54, 100, 34, 16, true, false },
	{ 1, 0x84, 54, 100, 34, 16, true, false },
	{ 1, 0x85, 54, 100, 34, 6, false, false },
	{ 1, 0x80, 54, 100, 34, 16, false, false },
	{ 0, 1, 54, 100, 34, 16, false, false },
	{ 1, 1, 54, 0, 34, 16, false, false },
	{ 1, 1, 0, 1, 34, 16, true, false },
	{ 1, 1, FRAME, 0xffff, 34, 16, true, false },
	{ 1, 1, FRAME + 1, 100, 34, 16, false, false },
	{ 1, 1, 54, 100, FRAME - 20, 16, true, false },
	{ 1, 1, 54, 100, FRAME - 19, 16, false, false },
	{ 1, 5, 54, 100, FRAME - 8, 6, true, false },
	{ 1, 5, 54, 100, FRAME - 7, 5, false, false },
	{ 1, 2, 54, 100, 34, 16, false, false },
	{ 1, 3, 54, 100, 34, 16, false, false },
	{ 1, 6, 54, 100, 34, 16, false, false },
	{ 1, 0x7f, 54, 100, 34, 16, false, false },
};

START_TEST(headers_are_checked)
{
	struct fixture *f = setup();
	uint8_t want[HDR] = { 0 };
	unsigned i;

	start(f, 16, V1 | 1 | 7ull << 11 | 1ull << 56);
	for (i = 0; i < sizeof(header_row) / sizeof(header_row[0]); i++) {
		tx_write(f, HDR + FRAME);
		memcpy(f->mem + TX_MEM, &header_row[i], 2);
		memcpy(f->mem + TX_MEM + 2, &header_row[i].hdr_len, 8);
		memcpy(want, f->mem + TX_MEM, 10);
		want[0] &= 1;
		if (header_row[i].cleared)
			memset(want + 1, 0, 9);
		tx_offer(f, 0, HDR + FRAME);
		vguest_notify(&f->g, 1);
		turn(f);
		ck_assert_uint_eq(tx_done(f), 1);
		ck_assert_msg(f->port.sent[0].n == header_row[i].sent,
		    "row %u", i);
		if (header_row[i].sent) {
			ck_assert_mem_eq(f->port.sent[0].f[0].data, want,
			    HDR);
			frames_drop(&f->port.sent[0]);
		}
	}
	teardown(f);
}
END_TEST

/* What was not agreed on is nonsense, too. */
START_TEST(offloads_must_be_agreed_on)
{
	static const struct {
		uint64_t	features;
		uint8_t		gso;
	} row[] = {
		{ 0, 0 }, { 7ull << 11 | 1ull << 56, 1 },
		{ 1 | 6ull << 11 | 1ull << 56, 1 },
		{ 1 | 5ull << 11 | 1ull << 56, 4 },
		{ 1 | 3ull << 11 | 1ull << 56, 0x81 },
		{ 1 | 7ull << 11, 5 },
	};
	struct fixture *f = setup();
	unsigned i;

	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		start(f, 16, V1 | row[i].features);
		tx_write(f, HDR + FRAME);
		f->mem[TX_MEM] = 1;
		f->mem[TX_MEM + 1] = row[i].gso;
		f->mem[TX_MEM + 4] = 100;
		f->mem[TX_MEM + 6] = 34;
		tx_offer(f, 0, HDR + FRAME);
		vguest_notify(&f->g, 1);
		turn(f);
		ck_assert_uint_eq(f->port.sent[0].n, 0);
		ck_assert_uint_eq(stats(f).tx_malformed, i + 1);
	}
	teardown(f);
}
END_TEST

/* Offers frames of 100 to 100 + n bytes, which shows in the first byte. */
static void
tx_offer_marked(struct fixture *f, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		memset(f->mem + TX_MEM + 256 * i, 0, HDR);
		f->mem[TX_MEM + 256 * i + HDR] = (uint8_t)i;
		vring_desc(&f->tx, i, TX_MEM + 256 * i, HDR + 100, 0, 0);
		vring_offer(&f->tx, (uint16_t)i);
	}
	vguest_notify(&f->g, 1);
}

/* A port without room: nothing is tried, lost or reordered meanwhile. */
START_TEST(a_full_port)
{
	struct fixture *f = setup();
	unsigned i, sends;

	start(f, 16, V1);
	f->port.room = 3;
	tx_offer_marked(f, 8);
	turns(f);
	ck_assert_uint_eq(f->port.sent[0].n, 3);
	ck_assert_uint_eq(tx_done(f), 3);
	ck_assert_uint_eq(f->port.wanted[0] & NICPORT_SEND, NICPORT_SEND);
	sends = f->port.sends;
	vguest_notify(&f->g, 1);
	turns(f);
	ck_assert_uint_eq(f->port.sends, sends);
	/* A stop gives the frame back to the ring; then it is the next. */
	stop(f);
	virtio_pci_resume(f->vp);
	turns(f);
	ck_assert_uint_eq(f->port.sent[0].n, 3);
	f->port.room = UINT_MAX;
	turns(f);
	ck_assert_uint_eq(tx_done(f), 5);
	ck_assert_uint_eq(f->port.wanted[0] & NICPORT_SEND, 0);
	ck_assert_uint_eq(f->port.sent[0].n, 8);
	for (i = 0; i < 8; i++)
		ck_assert_uint_eq(f->port.sent[0].f[i].data[HDR], i);
	teardown(f);
}
END_TEST

START_TEST(frames_that_the_port_refuses)
{
	struct fixture *f = setup();

	start(f, 16, V1);
	f->port.send_error = -EIO;
	tx_offer_marked(f, 5);
	turns(f);
	ck_assert_uint_eq(tx_done(f), 5);
	ck_assert_uint_eq(stats(f).tx_refused, 5);
	ck_assert_uint_eq(stats(f).tx_packets, 0);
	teardown(f);
}
END_TEST

/* A turn has its share, and one interrupt for all of it. */
START_TEST(turns_of_sending)
{
	struct fixture *f = setup();
	unsigned i, irq, rises;

	start(f, 256, V1);
	irq = vguest_conf(&f->g, 1, 0x3c, 1);
	rises = f->g.t.rises[irq];
	tx_offer_marked(f, 256);
	turn(f);
	ck_assert_uint_eq(f->port.sent[0].n, 64);
	ck_assert_uint_eq(tx_done(f), 64);
	pci_fold_intx(f->g.pci);
	ck_assert_uint_eq(f->g.t.rises[irq], rises + 1);
	turns(f);
	ck_assert_uint_eq(f->port.sent[0].n, 256);
	/* Nothing is tried in vain. */
	ck_assert_uint_eq(f->port.sends, 256);
	ck_assert_uint_eq(f->port.recvs, 0);
	frames_clear(&f->port.sent[0]);
	/* Long ones have fewer a turn: half a megabyte. */
	(void)tx_done(f);
	for (i = 0; i < 64; i++) {
		tx_offer(f, i, NICPORT_FRAME_MAX);
		f->mem[TX_MEM] = 0;
	}
	memset(f->mem + TX_MEM, 0, HDR);
	vguest_notify(&f->g, 1);
	turn(f);
	ck_assert_uint_eq(f->port.sent[0].n, 8);
	turns(f);
	ck_assert_uint_eq(tx_done(f), 64);
	teardown(f);
}
END_TEST

START_TEST(receives_into_one_buffer)
{
	struct fixture *f = setup();
	unsigned recvs;

	start(f, 16, V1 | MRG);
	rx_fill(f, 0, 8, 1600);
	ck_assert_uint_eq(f->port.wanted[0], NICPORT_RECV);
	recvs = f->port.recvs;
	arrive(f, HDR + 14);
	arrive(f, HDR + 60);
	arrive(f, 1600);
	turn(f);
	rx_expect(f, HDR + 14, 1);
	rx_expect(f, HDR + 60, 1);
	rx_expect(f, 1600, 1);
	ck_assert(rx_idle(f));
	ck_assert_uint_eq(f->port.recvs, recvs + 4);
	ck_assert_uint_eq(stats(f).rx_packets, 3);
	ck_assert_uint_eq(stats(f).rx_bytes, 14 + 60 + 1588);
	teardown(f);
}
END_TEST

/* Buffers of any length, header cut or not; what is not used stays. */
START_TEST(frames_over_several_buffers)
{
	static const uint32_t lens[] = { 5, 11, 12, 13, 64, 700, 1514, 4096 };
	struct fixture *f;
	unsigned i, len, n;

	for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		f = setup();
		start(f, 256, V1 | MRG | 1ull << 1 | 1ull << 7);
		n = RX_BYTES / lens[i] < 256 ? RX_BYTES / lens[i] : 256;
		rx_fill(f, 0, n, lens[i]);
		for (len = 26; len < 700 && len * 2 < n * lens[i];
		    len = len * 2 + 1) {
			arrive(f, len);
			turn(f);
			rx_expect(f, len, (len + lens[i] - 1) / lens[i]);
			ck_assert(rx_idle(f));
			n -= (len + lens[i] - 1) / lens[i];
		}
		ck_assert_uint_eq(stats(f).rx_malformed +
		    stats(f).rx_too_long, 0);
		teardown(f);
	}
}
END_TEST

/* A whole segment of 64 KiB, the longest frame, and one that cannot be. */
START_TEST(the_longest_frames)
{
	struct fixture *f = setup();

	start(f, 256, V1 | MRG | 1ull << 1 | 1ull << 7);
	rx_fill(f, 0, 200, 1536);
	arrive_as(f, 65000, 1, 1, own_mac);
	arrive(f, NICPORT_FRAME_MAX);
	arrive(f, NICPORT_FRAME_MAX + 1);
	arrive(f, NICPORT_FRAME_MAX + 100);
	arrive(f, 100);
	turn(f);
	rx_expect(f, 65000, 43);
	rx_expect(f, NICPORT_FRAME_MAX, 43);
	rx_expect(f, 100, 1);
	ck_assert(rx_idle(f));
	ck_assert_uint_eq(stats(f).rx_malformed, 2);
	teardown(f);
}
END_TEST

/* Without buffers nothing is wanted, and so no time spent. */
START_TEST(no_buffers)
{
	struct fixture *f = setup();
	unsigned wants, recvs;

	start(f, 16, V1 | MRG);
	arrive(f, 100);
	arrive(f, 200);
	arrive(f, 300);
	turns(f);
	ck_assert_uint_eq(f->port.recvs, 0);
	ck_assert_uint_eq(f->port.wants, 0);
	rx_fill(f, 0, 2, 1600);
	turns(f);
	rx_expect(f, 100, 1);
	rx_expect(f, 200, 1);
	ck_assert(rx_idle(f));
	ck_assert_uint_eq(f->port.wanted[0], 0);
	wants = f->port.wants;
	recvs = f->port.recvs;
	turns(f);
	ck_assert_uint_eq(f->port.recvs, recvs);
	ck_assert_uint_eq(f->port.wants, wants);
	rx_fill(f, 2, 1, 1600);
	turns(f);
	rx_expect(f, 300, 1);
	ck_assert_uint_eq(stats(f).rx_packets, 3);
	teardown(f);
}
END_TEST

/* A frame that buffers are too few for waits for more, and loses nothing. */
START_TEST(a_long_frame_waits)
{
	struct fixture *f = setup();
	unsigned recvs, i;

	start(f, 256, V1 | MRG | 1ull << 1 | 1ull << 7);
	rx_fill(f, 0, 10, 1536);
	arrive_as(f, 60000, 1, 1, own_mac);
	arrive(f, 100);
	turns(f);
	ck_assert(rx_idle(f));
	ck_assert_uint_eq(f->port.wanted[0], 0);
	recvs = f->port.recvs;
	for (i = 10; i < 39; i++)
		rx_fill(f, i, 1, 1536);
	ck_assert(rx_idle(f));
	ck_assert_uint_eq(f->port.recvs, recvs);
	rx_fill(f, 39, 1, 1536);
	rx_expect(f, 60000, 40);
	turns(f);
	rx_fill(f, 40, 1, 1536);
	turns(f);
	rx_expect(f, 100, 1);
	/* With the turn's share used up, too. */
	rx_fill(f, 50, 65, 1536);
	turns(f);
	for (i = 0; i < 63; i++)
		arrive(f, 100);
	arrive_as(f, 60000, 1, 1, own_mac);
	turns(f);
	for (i = 0; i < 63; i++)
		rx_expect(f, 100, 1);
	ck_assert(rx_idle(f));
	rx_fill(f, 115, 38, 1536);
	turns(f);
	rx_expect(f, 60000, 40);
	ck_assert_uint_eq(stats(f).rx_too_long, 0);
	teardown(f);
}
END_TEST

/* Into one element, but where they belong while frames are long. */
START_TEST(short_frames_are_copied)
{
	struct fixture *f = setup();

	start(f, 256, V1 | MRG | 1ull << 1 | 1ull << 7);
	rx_fill(f, 0, 80, 1536);
	ck_assert_uint_eq(f->port.elements, 1);
	arrive_as(f, 60000, 1, 1, own_mac);
	arrive_as(f, 65000, 1, 1, own_mac);
	turn(f);
	ck_assert_uint_eq(f->port.elements, 41);
	rx_expect(f, 60000, 40);
	rx_fill(f, 80, 40, 1536);
	turns(f);
	rx_expect(f, 65000, 43);
	for (int i = 0; i < 30; i++)
		arrive(f, 100);
	turn(f);
	ck_assert_uint_eq(f->port.elements, 1);
	teardown(f);
}
END_TEST

/* Unless all that the driver has is there already. */
START_TEST(a_frame_for_which_the_ring_is_too_small)
{
	struct fixture *f = setup();

	start(f, 16, V1 | MRG | 1ull << 1 | 1ull << 7);
	rx_fill(f, 0, 16, 1536);
	arrive_as(f, 60000, 1, 1, own_mac);
	arrive(f, 100);
	turns(f);
	rx_expect(f, 100, 1);
	ck_assert(rx_idle(f));
	ck_assert_uint_eq(stats(f).rx_too_long, 1);
	teardown(f);
}
END_TEST

/* Without mergeable buffers a frame has one chain, or is lost. */
START_TEST(one_chain_a_frame)
{
	struct fixture *f = setup();

	start(f, 16, V1);
	rx_fill(f, 0, 3, 1600);
	arrive(f, 1600);
	arrive(f, 1601);
	arrive(f, 9000);
	arrive(f, 100);
	turns(f);
	rx_expect(f, 1600, 1);
	rx_expect(f, 100, 1);
	ck_assert(rx_idle(f));
	ck_assert_uint_eq(stats(f).rx_too_long, 2);
	arrive(f, 200);
	turns(f);
	rx_expect(f, 200, 1);
	ck_assert_uint_eq(f->port.wanted[0], 0);
	teardown(f);
}
END_TEST

/* Buffers that are held move to the front when there is no room behind. */
START_TEST(buffers_go_round)
{
	struct fixture *f = setup();
	unsigned i, k, len, n, at = 0;

	start(f, 256, V1 | MRG | 1ull << 1 | 1ull << 7);
	rx_fill(f, 0, 200, 400);
	for (i = 0; i < 2000; i++) {
		len = 60 + i * 41 % 4000;
		n = (len + 399) / 400;
		arrive(f, len);
		turn(f);
		rx_expect(f, len, n);
		for (k = 0; k < n; k++)
			rx_offer(f, (at + k) % 200);
		at = (at + n) % 200;
		vguest_notify(&f->g, 0);
	}
	ck_assert(rx_idle(f));
	ck_assert_uint_eq(stats(f).rx_packets, i);
	teardown(f);
}
END_TEST

/* Chains of up to 256 elements, one at a time. */
START_TEST(buffers_of_many_elements)
{
	struct fixture *f = setup();
	uint32_t id, len, k, addr;
	unsigned i, n, round;

	start(f, 16, V1 | MRG | 3ull << 28 | 1ull << 1 | 1ull << 7);
	for (round = 0; round < 40; round++) {
		n = 1 + round * 37 % 255;
		addr = RX_MEM + 0x8000 * (round % 8);
		for (k = 0; k < n; k++)
			vring_put(&f->rx, TX_MEM + 0x1000 * (round % 8), k,
			    addr + 100 * k, 100, VRING_WRITE |
			    (k + 1 < n ? VRING_NEXT : 0), (uint16_t)(k + 1));
		vring_desc(&f->rx, round % 8, TX_MEM + 0x1000 * (round % 8),
		    16 * n, VRING_INDIRECT, 0);
		vring_offer(&f->rx, (uint16_t)(round % 8));
		vguest_notify(&f->g, 0);
		turn(f);
		arrive(f, 60 + round);
		turn(f);
		ck_assert(vring_take(&f->rx, &id, &len));
		ck_assert_uint_eq(id, round % 8);
		ck_assert_uint_eq(len, 60 + round);
		for (i = HDR + 6; i < len; i++)
			ck_assert_uint_eq(f->mem[addr + i],
			    (uint8_t)(i * 7 + i / 251 + len));
	}
	teardown(f);
}
END_TEST

/* Frames that do more than the driver allows come from another time. */
START_TEST(frames_beyond_the_offloads)
{
	static const struct {
		uint64_t	features;
		uint8_t		flags, gso;
		bool		passes;
	} row[] = {
		{ 0, 0, 0, true },
		{ 0, 2, 0, true },		/* checked: said to none */
		{ 0, 1, 0, false },
		{ 1 << 1, 1, 0, true },
		{ 1 << 1, 1, 1, false },
		{ 1 << 7, 1, 1, false },	/* stands on checksums */
		{ 1 << 1 | 1 << 7, 1, 1, true },
		{ 1 << 1 | 1 << 7, 1, 4, false },
		{ 1 << 1 | 1 << 7, 1, 0x81, false },
		{ 1 << 1 | 1 << 7 | 1 << 9, 1, 0x81, true },
		{ 1 << 1 | 1 << 8, 1, 4, true },
		{ 1 << 1 | 1ull << 54, 1, 5, false },
		{ 1 << 1 | 3ull << 54, 1, 5, true },
		{ 1 << 1 | 1 << 7, 1, 3, false },
	};
	struct fixture *f = setup();
	unsigned i, bad = 0;
	uint32_t id, len;

	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		start(f, 16, V1 | row[i].features);
		rx_fill(f, 0, 1, 1600);
		arrive_as(f, 300, row[i].flags, row[i].gso, own_mac);
		turn(f);
		ck_assert_msg(vring_take(&f->rx, &id, &len) == row[i].passes,
		    "row %u", i);
		if (row[i].passes)
			ck_assert_uint_eq(f->mem[RX_MEM],
			    row[i].features == 0 ? 0 : row[i].flags);
		bad += !row[i].passes;
		ck_assert_uint_eq(stats(f).rx_malformed, bad);
	}
	/* ECN stands on segments. */
	start(f, 16, V1 | 1 << 1 | 1 << 9);
	ck_assert_uint_eq(f->port.offload, NICPORT_CSUM);
	rx_fill(f, 0, 1, 1600);
	/* And those that are none. */
	arrive(f, 0);
	arrive(f, HDR + 13);
	turn(f);
	ck_assert_uint_eq(stats(f).rx_malformed, bad + 2);
	teardown(f);
}
END_TEST

START_TEST(turns_of_receiving)
{
	struct fixture *f = setup();
	unsigned i;

	start(f, 256, V1);
	for (i = 0; i < 122; i++)
		arrive(f, 100);
	rx_fill(f, 0, 256, 1600);
	ck_assert_uint_eq(f->port.waiting[0].n, 58);
	ck_assert_uint_eq(f->port.wanted[0], NICPORT_RECV);
	/* The other direction has a share of its own. */
	tx_offer_marked(f, 10);
	turn(f);
	ck_assert_uint_eq(f->port.sent[0].n, 10);
	ck_assert_uint_eq(f->port.waiting[0].n, 0);
	for (i = 0; i < 122; i++)
		rx_expect(f, 100, 1);
	teardown(f);
}
END_TEST

/* Buffers that are held are the driver's again, where they were. */
START_TEST(stop_gives_back)
{
	struct fixture *f = setup();
	unsigned i;

	start(f, 16, V1 | MRG | 1ull << 1 | 1ull << 7);
	rx_fill(f, 0, 4, 1536);
	arrive(f, 100);
	turns(f);
	rx_expect(f, 100, 1);
	for (i = 0; i < 3; i++) {
		stop(f);
		arrive(f, 100);
		turns(f);
		ck_assert(rx_idle(f));
		virtio_pci_resume(f->vp);
		turns(f);
		rx_expect(f, 100, 1);
	}
	turns(f);
	/* One that waits for more is lost. */
	rx_fill(f, 4, 2, 1536);
	arrive(f, 9000);
	turns(f);
	ck_assert_uint_eq(f->port.waiting[0].n, 0);
	stop(f);
	ck_assert_uint_eq(stats(f).rx_too_long, 1);
	virtio_pci_resume(f->vp);
	arrive(f, 100);
	turns(f);
	rx_expect(f, 100, 1);
	/* And so is all of it by a reset. */
	start(f, 16, V1);
	arrive(f, 100);
	turns(f);
	ck_assert(rx_idle(f));
	rx_fill(f, 0, 1, 1536);
	rx_expect(f, 100, 1);
	teardown(f);
}
END_TEST

/* A guest that breaks the rules loses the device, and costs nothing more. */
START_TEST(hostile_chains)
{
	struct fixture *f = setup();
	unsigned i, k, recvs;

	for (i = 0; i < 4; i++) {
		start(f, 16, V1 | MRG);
		rx_fill(f, 0, 4, 1600);
		ck_assert_uint_eq(f->port.wanted[0], NICPORT_RECV);
		vring_desc(&f->rx, 4, RX_MEM, 64, i == 1 ? VRING_NEXT : 0, 5);
		vring_desc(&f->rx, 5, RX_MEM, 64, VRING_WRITE, 0);
		if (i == 2)
			vring_desc(&f->rx, 4, VGUEST_MEM, 64, VRING_WRITE, 0);
		if (i == 3)
			vring_desc(&f->rx, 4, RX_MEM, 64,
			    VRING_WRITE | VRING_NEXT, 4);
		vring_offer(&f->rx, 4);
		for (k = 0; k < 5; k++)
			arrive(f, 100);
		vguest_notify(&f->g, 0);
		turns(f);
		ck_assert_uint_eq(vguest_status(&f->g), 0x4f);
		ck_assert_uint_eq(f->port.wanted[0], 0);
		recvs = f->port.recvs;
		arrive(f, 100);
		vguest_notify(&f->g, 0);
		vguest_notify(&f->g, 1);
		turns(f);
		ck_assert_uint_eq(f->port.recvs, recvs);
		frames_clear(&f->port.waiting[0]);
	}
	teardown(f);
}
END_TEST

/* What a driver breaks elsewhere ends receiving with the next frame. */
START_TEST(one_broken_queue_ends_all)
{
	struct fixture *f = setup();
	unsigned recvs;

	start(f, 16, V1 | MRG);
	rx_fill(f, 0, 8, 1600);
	vring_desc(&f->tx, 0, VGUEST_MEM - 10, 11, 0, 0);
	vring_offer(&f->tx, 0);
	vguest_notify(&f->g, 1);
	turn(f);
	ck_assert_uint_eq(vguest_status(&f->g), 0x4f);
	recvs = f->port.recvs;
	arrive(f, 100);
	turns(f);
	ck_assert_uint_eq(f->port.recvs, recvs);
	ck_assert_uint_eq(f->port.wanted[0], 0);
	teardown(f);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("virtio_net");

	tcase_add_test(tc, what_the_driver_sees);
	tcase_add_test(tc, sends_however_it_lies);
	tcase_add_test(tc, lengths_of_frames_sent);
	tcase_add_test(tc, headers_are_checked);
	tcase_add_test(tc, offloads_must_be_agreed_on);
	tcase_add_test(tc, a_full_port);
	tcase_add_test(tc, frames_that_the_port_refuses);
	tcase_add_test(tc, turns_of_sending);
	tcase_add_test(tc, receives_into_one_buffer);
	tcase_add_test(tc, frames_over_several_buffers);
	tcase_add_test(tc, the_longest_frames);
	tcase_add_test(tc, no_buffers);
	tcase_add_test(tc, a_long_frame_waits);
	tcase_add_test(tc, short_frames_are_copied);
	tcase_add_test(tc, a_frame_for_which_the_ring_is_too_small);
	tcase_add_test(tc, one_chain_a_frame);
	tcase_add_test(tc, buffers_go_round);
	tcase_add_test(tc, buffers_of_many_elements);
	tcase_add_test(tc, frames_beyond_the_offloads);
	tcase_add_test(tc, turns_of_receiving);
	tcase_add_test(tc, stop_gives_back);
	tcase_add_test(tc, hostile_chains);
	tcase_add_test(tc, one_broken_queue_ends_all);
	return test_main("virtio_net", tc);
}
