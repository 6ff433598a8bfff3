/* SPDX-License-Identifier: ISC */
/*
 * The interpreter of register programs: see chip.h.
 */
#include "chip.h"

#include "base/buf.h"
#include "devices/state.h"

struct rig {
	struct fuzz_input	 in;
	struct chip_side	*a;
	struct chip_side	*b;		/* the twin or NULL */
	bool			 strange;	/* `a` was made by a stranger */
};

static uint64_t
side_now(void *cookie)
{
	struct chip_side *s = cookie;

	return s->now;
}

static void
side_set_irq(void *cookie, unsigned irq, bool level)
{
	struct chip_side *s = cookie;

	FUZZ_CHECK(irq < CHIP_IRQS);
	s->line[irq] = level;
}

static void
side_attention(void *cookie)
{
	struct chip_side *s = cookie;

	s->attention = true;
}

static void
side_reset(void *cookie)
{
	struct chip_side *s = cookie;

	s->resets++;
}

static void
side_poweroff(void *cookie)
{
	struct chip_side *s = cookie;

	s->poweroffs++;
}

static struct chip_side *
side_create(uint64_t now, int64_t wall_ahead)
{
	const struct chip_port *p;
	struct chip_side *s = calloc(1, sizeof(*s));

	s->now = now;
	s->wall_ahead = wall_ahead;
	s->host = (struct dev_host){
		.cookie = s,
		.now = side_now,
		.set_irq = side_set_irq,
		.attention = side_attention,
		.reset = side_reset,
		.poweroff = side_poweroff,
	};
	s->dev = calloc(1, chip_target.size);
	s->bus = bus_create();
	chip_target.init(s);
	for (p = chip_target.port; p < chip_target.port + CHIP_PORTS &&
	    p->len != 0; p++)
		FUZZ_CHECK(bus_add_pio(s->bus, p->base, p->len, p->ops,
		    s->dev) == 0);
	return s;
}

static void
side_destroy(struct chip_side *s)
{
	if (s == NULL)
		return;
	bus_destroy(s->bus);
	free(s->dev);
	free(s);
}

static void
side_save(const struct chip_side *s, struct buf *out)
{
	struct state_writer w = { out };

	buf_init(out, 1 << 16);
	FUZZ_CHECK(chip_target.ops->save(s->dev, &w) == 0);
}

/*
 * A fresh chip with the state in `saved`, or NULL if it refuses that; what is
 * no state of the chip's is a copy of the other side's.
 */
static struct chip_side *
side_load(const struct chip_side *from, const struct buf *saved)
{
	struct chip_side *s = side_create(from->now, from->wall_ahead);
	struct state_reader r = {
		(const uint8_t *)buf_head(saved), saved->len
	};

	if (chip_target.ops->load(s->dev, &r) != 0) {
		side_destroy(s);
		return NULL;
	}
	FUZZ_CHECK(r.left == 0);
	s->flag = from->flag;
	s->output = from->output;
	s->resets = from->resets;
	s->poweroffs = from->poweroffs;
	s->attention = from->attention;
	memcpy(s->line, from->line, sizeof(s->line));
	memcpy(s->input, from->input, sizeof(s->input));
	s->ninput = from->ninput;
	return s;
}

static void
rig_twin(struct rig *r)
{
	struct buf saved, again;

	side_destroy(r->b);
	side_save(r->a, &saved);
	r->b = side_load(r->a, &saved);
	if (r->b == NULL) {
		FUZZ_CHECK(r->strange);
		buf_free(&saved);
		return;
	}
	side_save(r->b, &again);
	FUZZ_CHECK(saved.len == again.len);
	FUZZ_CHECK(memcmp(buf_head(&saved), buf_head(&again),
	    saved.len) == 0);
	buf_free(&saved);
	buf_free(&again);
}

static void
rig_hostile(struct rig *r)
{
	unsigned n = fuzz_u8(&r->in) % 8;
	struct chip_side *s;
	struct buf saved;
	uint16_t at;

	side_save(r->a, &saved);
	while (n-- > 0) {
		at = fuzz_u16(&r->in);
		buf_head(&saved)[at % saved.len] ^= (char)fuzz_u8(&r->in);
	}
	s = side_load(r->a, &saved);
	buf_free(&saved);
	if (s == NULL)
		return;
	side_destroy(r->a);
	r->a = s;
	r->strange = false;
	rig_twin(r);
	/* From here on its time may go beyond all that is accepted. */
	r->strange = true;
}

static uint16_t
rig_port(struct rig *r)
{
	unsigned n = fuzz_u8(&r->in), total = 0, i;

	for (i = 0; i < CHIP_PORTS; i++)
		total += chip_target.port[i].len;
	n %= total;
	for (i = 0; n >= chip_target.port[i].len; i++)
		n -= chip_target.port[i].len;
	return (uint16_t)(chip_target.port[i].base + n);
}

static void
rig_out(struct rig *r, unsigned size)
{
	uint16_t port = rig_port(r);
	uint32_t val = fuzz_sized(&r->in, size);

	bus_out(r->a->bus, port, size, val);
	if (r->b != NULL)
		bus_out(r->b->bus, port, size, val);
}

static void
rig_in(struct rig *r, unsigned size)
{
	uint16_t port = rig_port(r);
	uint32_t val = bus_in(r->a->bus, port, size);

	if (r->b != NULL)
		FUZZ_CHECK(bus_in(r->b->bus, port, size) == val);
}

static void
rig_time(struct rig *r)
{
	unsigned shift = fuzz_u8(&r->in) % 36;
	uint64_t ns = (uint64_t)fuzz_u16(&r->in) << shift;

	r->a->now += ns;
	if (r->b != NULL)
		r->b->now += ns;
}

static void
rig_event(struct rig *r)
{
	uint8_t what = fuzz_u8(&r->in);

	if (chip_target.event == NULL)
		return;
	chip_target.event(r->a, what);
	if (r->b != NULL)
		chip_target.event(r->b, what);
}

static void
rig_fold(struct rig *r)
{
	const struct dev_ops *ops = chip_target.ops;
	uint64_t when;

	r->a->attention = false;
	if (ops->fold == NULL)
		return;
	when = ops->fold(r->a->dev, r->a->now);
	if (r->b != NULL) {
		r->b->attention = false;
		FUZZ_CHECK(ops->fold(r->b->dev, r->b->now) == when);
	}
}

static void
rig_reset(struct rig *r)
{
	chip_target.ops->reset(r->a->dev);
	if (r->b != NULL)
		chip_target.ops->reset(r->b->dev);
}

/* Both look the same from outside. */
static void
rig_compare(const struct rig *r)
{
	struct chip_side *a = r->a, *b = r->b;

	if (b == NULL)
		return;
	FUZZ_CHECK(memcmp(a->line, b->line, sizeof(a->line)) == 0);
	FUZZ_CHECK(a->output == b->output);
	FUZZ_CHECK(a->resets == b->resets);
	FUZZ_CHECK(a->poweroffs == b->poweroffs);
	FUZZ_CHECK(a->ninput == b->ninput);
	if (chip_target.probe != NULL)
		FUZZ_CHECK(chip_target.probe(a) == chip_target.probe(b));
}

static void
rig_step(struct rig *r)
{
	static const uint8_t sizes[] = { 1, 2, 4, 1 };
	uint8_t op = fuzz_u8(&r->in);
	unsigned size = sizes[op >> 3 & 3];

	switch (op & 7) {
	case 0:
	case 1:
		rig_out(r, size);
		break;
	case 2:
	case 3:
		rig_in(r, size);
		break;
	case 4:
		rig_time(r);
		break;
	case 5:
		rig_event(r);
		break;
	case 6:
		if (op == 6)
			rig_fold(r);
		else if (op == 14)
			rig_reset(r);
		break;
	case 7:
		if ((op & 8) == 0)
			rig_twin(r);
		else
			rig_hostile(r);
		break;
	}
	/* As the machine does before the guest goes on. */
	if (r->a->attention)
		rig_fold(r);
	rig_compare(r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rig r = { .in = { data, size } };

	r.a = side_create(1000000007, 1800000000000000000);
	while (r.in.left != 0)
		rig_step(&r);
	side_destroy(r.a);
	side_destroy(r.b);
	return 0;
}
