/* SPDX-License-Identifier: ISC */
/*
 * Fuzz target: the saved state of a whole machine, as a stranger may send it.
 *
 * The input is a program of port accesses, a number of changes to the state
 * that is then saved, and a program for the machine that took it.  A program
 * is a count and that many steps: a kind, a port, and what is written.  What
 * has been accepted can be saved, and what that says is accepted again.
 */
#include "fuzz.h"

#include <stdbool.h>

#include "base/log.h"
#include "base/loop.h"
#include "devices/dev.h"
#include "devices/disk.h"
#include "devices/gmem.h"
#include "devices/state.h"
#include "vmm/console.h"
#include "vmm/hv.h"
#include "vmm/machine.h"

#define MEM_SIZE	0x10000u
#define HELD_MAX	256
#define STATE_MAX	(1u << 20)

struct disk {
	struct disk_req	*held[HELD_MAX];
	unsigned	 n;
};

struct world {
	struct loop	*loop;
	struct console	*console;
	struct gmem	 gm;
	struct disk	 disk;
	uint64_t	 now;
};

static struct world world;

/* Linked in place of the loop's: time goes on when the input says so. */
uint64_t __wrap_loop_now_ns(void);

uint64_t
__wrap_loop_now_ns(void)
{
	return world.now;
}

const struct disk_info *
disk_info(const struct disk *d)
{
	static const struct disk_info info = {
		.size = 64 * DISK_SECTOR,
		.block_size = DISK_SECTOR,
		.physical_size = DISK_SECTOR,
	};

	(void)d;
	return &info;
}

void
disk_submit(struct disk *d, struct disk_req *req)
{
	FUZZ_CHECK(d->n < HELD_MAX);
	FUZZ_CHECK(req->offset <= disk_info(d)->size &&
	    req->len <= disk_info(d)->size - req->offset);
	d->held[d->n++] = req;
}

static void
turn(void)
{
	ev_run(loop_ev(world.loop), EVRUN_NOWAIT);
	while (world.disk.n != 0) {
		struct disk_req *req = world.disk.held[--world.disk.n];

		req->done(req, 0);
	}
}

static void
on_nothing(void *cookie)
{
	(void)cookie;
}

static void
on_answered(struct dev_call *c)
{
	*(bool *)c->cookie = true;
}

static void
on_call(void *cookie, struct dev_call *c)
{
	bool answered = false;

	(void)cookie;
	c->done = on_answered;
	c->cookie = &answered;
	c->task.fn(c->task.arg);
	if (!answered)
		turn();
	FUZZ_CHECK(answered);
}

static int
on_msi(void *cookie, const struct hv_msi *msg)
{
	(void)cookie;
	FUZZ_CHECK(hv_msi_valid(msg));
	return 0;
}

static int
on_msi_event(void *cookie, unsigned slot, int fd, const struct hv_msi *msg)
{
	(void)cookie;
	(void)fd;
	(void)msg;
	FUZZ_CHECK(slot < HV_MSI_EVENTS);
	return 0;
}

static int
on_route(void *cookie, unsigned pin, const struct hv_msi *msg)
{
	(void)cookie;
	FUZZ_CHECK(pin < HV_IOAPIC_PINS);
	FUZZ_CHECK(msg == NULL || hv_msi_valid(msg));
	return 0;
}

static void
make_world(void)
{
	if (world.loop != NULL)
		return;
	log_set_level(LOG_LEVEL_ERROR);
	world.loop = loop_create();
	world.console = console_create(world.loop);
	world.gm.nranges = 1;
	world.gm.range[0].size = MEM_SIZE;
	world.gm.range[0].hva = aligned_alloc(4096, MEM_SIZE);
}

static struct machine *
make_machine(void)
{
	const struct machine_conf mc = {
		.ncpus = 1,
		.name = "fuzz", .loop = world.loop, .console = world.console,
		.gm = &world.gm, .disk = { &world.disk }, .ndisks = 1, .rng = true,
		.attention = on_nothing, .reset = on_nothing,
		.poweroff = on_nothing, .call = on_call,
		.msi = on_msi, .msi_event = on_msi_event,
		.ioapic_route = on_route,
	};
	struct machine *m;
	char err[200];

	FUZZ_CHECK(machine_create(&m, &mc, err, sizeof(err)) == 0);
	return m;
}

static void
on_stopped(void *arg)
{
	*(bool *)arg = true;
}

static void
stop(struct machine *m)
{
	bool stopped = false;

	machine_stop(m, on_stopped, &stopped);
	if (!stopped)
		turn();
	FUZZ_CHECK(stopped);
}

static void
access_port(struct machine *m, struct fuzz_input *in, uint8_t op)
{
	static const uint16_t ports[] = {
		0x20, 0x40, 0x60, 0x70, 0x92, 0xa0, 0x3f8, 0x4d0, 0xcf8,
		0x1000, 0x1020, 0x1040, 0x1080, 0x1100,
	};
	static const uint8_t sizes[] = { 1, 2, 4, 1 };
	uint8_t where = fuzz_u8(in);
	uint32_t val = 0;
	struct hv_exit e = { .kind = HV_EXIT_IO };

	e.io.port = ports[(where & 15) % 14] + (where >> 4);
	e.io.size = sizes[op >> 3 & 3];
	e.io.in = (op & 0x20) != 0;
	e.io.count = 1;
	e.io.data = &val;
	if (!e.io.in)
		val = fuzz_sized(in, e.io.size);
	machine_io(m, 0, &e);
}

static void
run(struct machine *m, struct fuzz_input *in)
{
	unsigned n = fuzz_u8(in);
	uint8_t op;

	while (n-- > 0 && in->left != 0) {
		op = fuzz_u8(in);
		switch (op & 7) {
		case 0:
			world.now += (uint64_t)fuzz_u16(in) << (op >> 3);
			(void)machine_fold(m);
			break;
		case 1:
			if (machine_intr(m))
				(void)machine_intr_ack(m);
			break;
		case 2:
			if (!machine_power_button(m))
				machine_ctrl_alt_del(m);
			break;
		default:
			access_port(m, in, op);
			break;
		}
	}
	(void)machine_fold(m);
	turn();
}

static void
save(struct machine *m, struct buf *out)
{
	buf_init(out, STATE_MAX);
	FUZZ_CHECK(machine_save(m, out) == 0 && out->len != 0);
}

/* Loads into a new machine: all of it, or NULL. */
static struct machine *
load(const struct buf *b)
{
	struct machine *m = make_machine();
	struct state_reader r = { (const uint8_t *)buf_head(b), b->len };

	stop(m);
	if (machine_load(m, &r) == 0) {
		FUZZ_CHECK(r.left == 0);
		return m;
	}
	machine_destroy(m);
	return NULL;
}

static void
same(const struct buf *a, const struct buf *b)
{
	FUZZ_CHECK(a->len == b->len);
	FUZZ_CHECK(memcmp(buf_head(a), buf_head(b), a->len) == 0);
}

/* What was accepted is as good as any other machine. */
static void
go_on(struct machine *m, struct fuzz_input *in)
{
	struct machine *next;
	struct buf saved, again;

	save(m, &saved);
	next = load(&saved);
	FUZZ_CHECK(next != NULL);
	save(next, &again);
	same(&saved, &again);
	machine_destroy(next);
	buf_free(&again);
	buf_free(&saved);
	run(m, in);
	stop(m);
}

static void
change(struct buf *b, struct fuzz_input *in)
{
	unsigned n = fuzz_u8(in) % 16;
	uint16_t at;

	for (; n > 0; n--) {
		at = fuzz_u16(in);
		buf_head(b)[at % b->len] ^= (char)fuzz_u8(in);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct machine *m, *other;
	struct buf saved;

	make_world();
	world.now = 1000000007;
	memset(world.gm.range[0].hva, 0, MEM_SIZE);
	m = make_machine();
	run(m, &in);
	stop(m);
	save(m, &saved);
	other = load(&saved);
	FUZZ_CHECK(other != NULL);
	machine_destroy(other);
	machine_destroy(m);
	change(&saved, &in);
	m = load(&saved);
	buf_free(&saved);
	if (m != NULL) {
		go_on(m, &in);
		machine_destroy(m);
	}
	turn();
	return 0;
}
