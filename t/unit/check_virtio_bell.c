/* SPDX-License-Identifier: ISC */
/*
 * Doorbells of virtio devices: that they lie where the notify registers do,
 * whatever the guest makes of the BAR, and that none is lost.
 */
#include <dirent.h>
#include <unistd.h>

#include "echo.h"

#define COMMAND		0x04
#define BAR0		0x10
#define NOTIFY		0x100
#define BELLS_MAX	16

/* What the backend has. */
static struct {
	uint16_t	port;
	uint8_t		size;
	int		fd;
} bells[BELLS_MAX];
static unsigned nbells, room;

static unsigned
find_bell(uint16_t port, uint8_t size)
{
	unsigned i;

	for (i = 0; i < nbells; i++)
		if (bells[i].port == port && bells[i].size == size)
			break;
	return i;
}

static int
set_bell(void *cookie, uint16_t port, uint8_t size, int fd, bool on)
{
	unsigned i = find_bell(port, size);

	(void)cookie;
	if (on) {
		ck_assert_uint_eq(i, nbells);
		if (nbells == room)
			return -ENOSPC;
		bells[nbells].port = port;
		bells[nbells].size = size;
		bells[nbells++].fd = fd;
		return 0;
	}
	ck_assert_uint_lt(i, nbells);
	ck_assert_int_eq(bells[i].fd, fd);
	bells[i] = bells[--nbells];
	return 0;
}

static void
setup_bells(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	nbells = 0;
	room = BELLS_MAX;
	f->loop = loop_create();
	vguest_init(&f->g, f->loop);
	f->g.t.host.doorbell = set_bell;
	f->vp = virtio_pci_create(&f->g.t.host, &f->g.gm, f->g.pci, &echo_ops,
	    &f->e, "vm t: echo");
	ck_assert_ptr_nonnull(f->vp);
}

/* As the guest writes to it: by the doorbell if there is one. */
static void
ring(struct fixture *f, unsigned queue)
{
	uint32_t bar = vguest_conf(&f->g, VGUEST_SLOT, BAR0, 4) & ~3u;
	const uint64_t one = 1;
	unsigned i;

	i = find_bell((uint16_t)(bar + NOTIFY + 2 * queue), 2);
	ck_assert_uint_lt(i, nbells);
	ck_assert(write(bells[i].fd, &one, sizeof(one)) == sizeof(one));
}

/* One a queue, at these ports and nowhere else; 0: nowhere. */
static void
assert_bells(uint32_t bar)
{
	unsigned i, k;

	ck_assert_uint_eq(nbells, bar != 0 ? ECHO_QUEUES : 0);
	for (i = 0; i < nbells; i++) {
		k = find_bell((uint16_t)(bar + NOTIFY + 2 * i), 2);
		ck_assert_uint_lt(k, nbells);
	}
}

START_TEST(follows_the_bar)
{
	struct fixture f;
	uint32_t bar, command;

	setup_bells(&f);
	bar = vguest_conf(&f.g, VGUEST_SLOT, BAR0, 4) & ~3u;
	command = vguest_conf(&f.g, VGUEST_SLOT, COMMAND, 2);
	assert_bells(bar);
	vguest_set_conf(&f.g, VGUEST_SLOT, COMMAND, 2, command & ~1u);
	assert_bells(0);
	vguest_set_conf(&f.g, VGUEST_SLOT, BAR0, 4, 0x4000);
	assert_bells(0);
	vguest_set_conf(&f.g, VGUEST_SLOT, COMMAND, 2, command);
	assert_bells(0x4000);
	vguest_set_conf(&f.g, VGUEST_SLOT, BAR0, 4, 0x6000);
	assert_bells(0x6000);
	/* Sizing, the last ports there are, and beyond them. */
	vguest_set_conf(&f.g, VGUEST_SLOT, BAR0, 4, UINT32_MAX);
	assert_bells(0);
	vguest_set_conf(&f.g, VGUEST_SLOT, BAR0, 4, 0xfe00);
	assert_bells(0xfe00);
	vguest_set_conf(&f.g, VGUEST_SLOT, BAR0, 4, 0x10000);
	assert_bells(0);
	/* On the ports of another, where the BAR does not answer. */
	vguest_set_conf(&f.g, VGUEST_SLOT, BAR0, 4, 0xc00);
	assert_bells(0);
	vguest_set_conf(&f.g, VGUEST_SLOT, BAR0, 4, bar);
	assert_bells(bar);
	pci_ops.reset(f.g.pci);
	assert_bells(bar);
	teardown(&f);
	assert_bells(0);
}
END_TEST

START_TEST(rings)
{
	struct fixture f;
	uint32_t id, len;

	setup_bells(&f);
	vguest_start(&f.g, &f.r, 8, CORE);
	vguest_turn(&f.g);
	f.e.notified = 0;
	offer(&f, 3, 4);
	ring(&f, 0);
	ring(&f, 0);
	vguest_wait_irq(&f.g);
	ck_assert(vring_take(&f.r, &id, &len));
	ck_assert_uint_eq(id, 3);
	vguest_turn(&f.g);
	/* Two signals before the loop looks are one. */
	ck_assert_uint_eq(f.e.notified, 1);
	/* Queues that are not enabled are nobody's. */
	ring(&f, 1);
	vguest_turn(&f.g);
	ck_assert_uint_eq(f.e.notified, 1);
	/* The bus, and the window of the capability, do as well. */
	offer(&f, 4, 4);
	vguest_notify(&f.g, 0);
	vguest_wait_irq(&f.g);
	ck_assert(vring_take(&f.r, &id, &len));
	ck_assert_uint_eq(id, 4);
	teardown(&f);
}
END_TEST

/* What was rung before the device listened, or while it was stopped. */
START_TEST(none_is_lost)
{
	struct fixture f;
	unsigned stopped = 0;
	uint32_t id, len;

	setup_bells(&f);
	ck_assert_uint_eq(vguest_negotiate(&f.g, CORE), 0x0b);
	vguest_queue(&f.g, &f.r, 0, 8);
	offer(&f, 1, 4);
	ring(&f, 0);
	vguest_turn(&f.g);
	ck_assert_uint_eq(f.e.notified, 0);
	vguest_set_status(&f.g, 0x0f);
	vguest_wait_irq(&f.g);
	ck_assert(vring_take(&f.r, &id, &len));
	vguest_turn(&f.g);
	/* The loop has not looked yet when it is told to stop. */
	offer(&f, 2, 4);
	ring(&f, 0);
	virtio_pci_stop(f.vp, count, &stopped);
	ck_assert_uint_eq(stopped, 1);
	vguest_turn(&f.g);
	ck_assert(!vring_take(&f.r, &id, &len));
	virtio_pci_resume(f.vp);
	vguest_wait_irq(&f.g);
	ck_assert(vring_take(&f.r, &id, &len));
	ck_assert_uint_eq(id, 2);
	teardown(&f);
}
END_TEST

/* A signal from before a reset means nothing after it. */
START_TEST(reset_between)
{
	struct fixture f;
	uint32_t id, len;

	setup_bells(&f);
	vguest_start(&f.g, &f.r, 8, CORE);
	offer(&f, 1, 4);
	ring(&f, 0);
	vguest_set_status(&f.g, 0);
	vguest_turn(&f.g);
	f.e.notified = 0;
	ring(&f, 0);
	vguest_turn(&f.g);
	ck_assert_uint_eq(f.e.notified, 0);
	vguest_start(&f.g, &f.r, 8, CORE);
	vguest_turn(&f.g);
	offer(&f, 5, 4);
	ring(&f, 0);
	vguest_wait_irq(&f.g);
	ck_assert(vring_take(&f.r, &id, &len));
	ck_assert_uint_eq(id, 5);
	teardown(&f);
}
END_TEST

/* A state with the BAR elsewhere takes the doorbells there. */
START_TEST(travels)
{
	struct fixture f;
	struct buf b;

	setup_bells(&f);
	vguest_set_conf(&f.g, VGUEST_SLOT, BAR0, 4, 0x8000);
	testhost_save(&pci_ops, f.g.pci, &b);
	vguest_set_conf(&f.g, VGUEST_SLOT, BAR0, 4, 0x2000);
	assert_bells(0x2000);
	ck_assert_int_eq(testhost_load(&pci_ops, f.g.pci, &b), 0);
	assert_bells(0x8000);
	buf_free(&b);
	teardown(&f);
}
END_TEST

/* Where the backend refuses, the bus serves, and nothing is taken back. */
START_TEST(refused)
{
	struct fixture f;
	uint32_t id, len;

	setup_bells(&f);
	room = 1;
	vguest_set_conf(&f.g, VGUEST_SLOT, BAR0, 4, 0x8000);
	ck_assert_uint_eq(nbells, 1);
	vguest_set_conf(&f.g, VGUEST_SLOT, BAR0, 4, 0x9000);
	ck_assert_uint_eq(nbells, 1);
	vguest_start(&f.g, &f.r, 8, CORE);
	offer(&f, 1, 4);
	vguest_notify(&f.g, 0);
	vguest_wait_irq(&f.g);
	ck_assert(vring_take(&f.r, &id, &len));
	teardown(&f);
	ck_assert_uint_eq(nbells, 0);
}
END_TEST

static unsigned
open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	ck_assert_ptr_nonnull(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

START_TEST(leaves_no_descriptor)
{
	struct fixture f;
	unsigned before = open_fds(), i;

	for (i = 0; i < 10; i++) {
		setup_bells(&f);
		vguest_start(&f.g, &f.r, 8, CORE);
		teardown(&f);
	}
	ck_assert_uint_eq(open_fds(), before);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("virtio_bell");

	tcase_add_test(tc, follows_the_bar);
	tcase_add_test(tc, rings);
	tcase_add_test(tc, none_is_lost);
	tcase_add_test(tc, reset_between);
	tcase_add_test(tc, travels);
	tcase_add_test(tc, refused);
	tcase_add_test(tc, leaves_no_descriptor);
	return test_main("virtio_bell", tc);
}
