/* SPDX-License-Identifier: ISC */
/*
 * The local APIC under random programs, beside the model of it.  What differs
 * is told with the program's seed.
 */
#include "lapicmodel.h"
#include "testhost.h"

#define STEPS		40000u

/* The two side by side. */
struct pair {
	struct lapic	l;
	struct model	m;
	uint64_t	now, tsc;
	uint64_t	random, seed;
	unsigned	step, interrupts, expiries;
};

static void
differ(const struct pair *p, const char *what, unsigned n)
{
	ck_abort_msg("seed %lu step %u: %s %x", (unsigned long)p->seed,
	    p->step, what, n);
}

#define SAME(p, what, n, a, b) do {					\
	if ((a) != (b))							\
		differ(p, what, n);					\
} while (0)

static uint32_t
any(struct pair *p)
{
	return test_random(&p->random);
}

/* One in n. */
static bool
rarely(struct pair *p, unsigned n)
{
	return any(p) % n == 0;
}

/* A vector; low ones are rare, and many the same. */
static unsigned
any_vector(struct pair *p)
{
	uint32_t x = any(p);

	return x % 20 == 0 ? x >> 8 & 15 : x % 3 == 0 ? 0x30 + (x >> 8) % 8 :
	    x >> 8 & 0xff;
}

static uint64_t
any_value(struct pair *p, unsigned reg)
{
	uint64_t val = (uint64_t)any(p) << 32 | any(p);

	if (rarely(p, 20))
		return val;
	if (rarely(p, 6) || reg == 0x0b || reg == 0x28)
		return 0;
	val &= model_bits(&p->m, reg);
	if (reg == 0x0f)
		val |= rarely(p, 4) ? 0 : 0x100;
	if (reg == 0x08)
		val >>= rarely(p, 2) ? 2 : 0;
	if (reg == 0x38)
		val >>= 8 + val % 16;
	if (reg == 0x32 && rarely(p, 2))
		val &= ~0x10000u;
	/* Vectors that are legal, most of the time. */
	if ((reg == 0x30 || reg >= 0x32) && reg != 0x38 && reg != 0x3e &&
	    !rarely(p, 10))
		val |= 0x10;
	return val;
}

static unsigned
any_register(struct pair *p)
{
	static const uint8_t often[] = { 0x08, 0x0b, 0x0b, 0x0f, 0x28, 0x30,
		0x30, 0x32, 0x38, 0x3e, 0x3f, 0x0d, 0x0e, 0x37, 0x31 };

	if (rarely(p, 4))
		return any(p) % 0x48;
	return often[any(p) % sizeof(often)];
}

static void
step_write(struct pair *p)
{
	unsigned reg = any_register(p);
	uint64_t val = any_value(p, reg);
	struct lapic_action a = { .what = 0xdead };
	struct effect e;
	int ret;

	ret = lapic_write(&p->l, reg, val, p->now, &a);
	SAME(p, "write", reg, ret, model_write(&p->m, reg, val, p->now, &e));
	SAME(p, "what", reg, a.what, (e.sends ? LAPIC_DO_IPI : 0u) |
	    (e.ends ? LAPIC_DO_EOI : 0u) | (e.timer ? LAPIC_DO_TIMER : 0u) |
	    (e.tpr ? LAPIC_DO_TPR : 0u));
	if (e.ends)
		SAME(p, "EOI", reg, a.vector, e.ended);
	if (!e.sends)
		return;
	SAME(p, "mode", reg, a.msg.mode, e.msg.mode);
	SAME(p, "vector", reg, a.msg.vector, e.msg.vector);
	SAME(p, "dest", reg, a.msg.dest, e.msg.dest);
	SAME(p, "shorthand", reg, a.msg.shorthand, e.msg.shorthand);
	SAME(p, "logical", reg, a.msg.logical, e.msg.logical);
	SAME(p, "level", reg, a.msg.level, false);
}

static void
step_message(struct pair *p)
{
	uint32_t x = any(p), sender = rarely(p, 2) ? p->m.id : x >> 8 & 63;
	struct lapic_msg m = { .mode = 0, .vector = 0x40 };

	m.logical = x >> 16 & 1;
	m.shorthand = x % 8 == 0 ? 2 + (x >> 17 & 1) : 0;
	m.dest = x >> 24;
	if (rarely(p, 2))
		m.dest |= p->m.id / 16 << 16;
	if (rarely(p, 4))
		m.dest = rarely(p, 2) ? LAPIC_BROADCAST : p->m.id;
	SAME(p, "message", m.dest, lapic_msg_is_for(&p->l, &m, sender),
	    model_is_for(&p->m, &m, sender));
}

static void
step_ack(struct pair *p)
{
	int v = model_pending(&p->m);

	if (v < 0)
		return;
	lapic_ack(&p->l, (uint8_t)v);
	p->m.irr[v] = false;
	p->m.isr[v] = true;
	p->interrupts++;
}

static void
step_time(struct pair *p)
{
	uint64_t ns = any(p) >> (12 + any(p) % 20);
	bool expired;

	p->now += ns;
	p->tsc += 3 * ns;
	if (rarely(p, 3))
		return;
	expired = lapic_timer_expired(&p->l, p->now, p->tsc);
	SAME(p, "expired", 0, expired,
	    model_expired(&p->m, p->now, p->tsc));
	p->expiries += expired;
}

static void
step_deadline(struct pair *p)
{
	uint64_t at = rarely(p, 4) ? 0 : p->tsc + any(p) % 100000 - 1000;

	lapic_set_deadline(&p->l, at);
	if (p->m.mode != OFF && model_timer_mode(&p->m) == 2)
		p->m.deadline = at;
}

static void
step_base(struct pair *p)
{
	uint64_t val = 0xfee00000 | (any(p) & 0xd00);

	if (rarely(p, 10))
		val ^= 1ULL << any(p) % 64;
	SAME(p, "base", 0, lapic_base_write(&p->l, val),
	    model_base(&p->m, val));
}

/* What happens seldom, or all of it would be seldom. */
static void
step_rare(struct pair *p)
{
	struct lapic copy;
	uint64_t shift = any(p);

	switch (any(p) % 8) {
	case 0:
		lapic_init(&p->l);
		model_clear(&p->m);
		break;
	case 1:
	case 2:
		step_base(p);
		break;
	case 3:
		if (p->m.mode == OFF)
			break;
		lapic_virtual_wire(&p->l);
		p->m.svr |= 0x100;
		p->m.lvt[3] = 0x700;
		p->m.lvt[4] = 0x400;
		break;
	default:
		/* Saved, and loaded where clocks are other ones. */
		copy = p->l;
		memset(&p->l, 0xa5, sizeof(p->l));
		lapic_move_time(&copy, shift, shift);
		SAME(p, "valid", 1, lapic_valid(&copy, p->now + shift), true);
		lapic_move_time(&copy, -shift, -shift);
		p->l = copy;
		break;
	}
}

static void
step_any(struct pair *p)
{
	uint32_t x = any(p) % 100;
	unsigned v;

	if (x < 40) {
		step_write(p);
	} else if (x < 60) {
		v = any_vector(p);
		lapic_accept(&p->l, (uint8_t)v, x < 45);
		model_accept(&p->m, v, x < 45);
	} else if (x < 72) {
		step_ack(p);
	} else if (x < 84) {
		step_time(p);
	} else if (x < 88) {
		step_deadline(p);
	} else if (x < 90) {
		if (p->m.mode != OFF) {
			v = any(p) & 15;
			lapic_set_cr8(&p->l, (uint8_t)v);
			p->m.tpr = v * 16;
		}
	} else if (x < 99) {
		step_message(p);
	} else if (rarely(p, 2)) {
		step_rare(p);
	}
}

static void
compare_timer(struct pair *p)
{
	enum lapic_clock want = p->m.running ? LAPIC_AT_NS :
	    p->m.deadline != 0 ? LAPIC_AT_TSC : LAPIC_NEVER;
	uint64_t when;

	SAME(p, "clock", 0, lapic_timer_when(&p->l, &when), want);
	if (want == LAPIC_AT_NS)
		SAME(p, "beat", 0, when, p->m.beat);
	if (want == LAPIC_AT_TSC)
		SAME(p, "deadline", 0, when, p->m.deadline);
	SAME(p, "deadline", 1, lapic_deadline(&p->l), p->m.deadline);
}

static bool
model_line(const struct model *m, unsigned lvt, unsigned mode)
{
	if (m->mode == OFF)
		return m->bsp;
	return m->lvt[lvt] / 0x100 % 8 == mode && m->lvt[lvt] < 0x10000;
}

/* All that can be seen; a read that errs goes to both. */
static void
compare(struct pair *p)
{
	uint64_t val;
	unsigned reg;
	int ret;

	SAME(p, "valid", 0, lapic_valid(&p->l, p->now), true);
	SAME(p, "pending", 0, lapic_pending(&p->l), model_pending(&p->m));
	SAME(p, "silent EOI", 0, lapic_eoi_is_silent(&p->l),
	    model_eoi_is_silent(&p->m));
	SAME(p, "CR8", 0, lapic_cr8(&p->l), p->m.tpr / 16);
	SAME(p, "ExtINT", 0, lapic_takes_extint(&p->l),
	    model_line(&p->m, 3, 7));
	SAME(p, "NMI", 0, lapic_takes_nmi(&p->l), model_line(&p->m, 4, 4));
	compare_timer(p);
	for (reg = 0; reg < 0x41; reg++) {
		bool there = model_may_read(&p->m, reg);

		if (!there && p->m.mode == XAPIC && !rarely(p, 500))
			continue;
		ret = lapic_read(&p->l, reg, p->now, &val);
		SAME(p, "read", reg, ret, p->m.mode == OFF ||
		    (p->m.mode == X2APIC && !there) ? GP : 0);
		if (ret != 0)
			continue;
		SAME(p, "value", reg, val,
		    there ? model_load(&p->m, reg, p->now) : 0);
		if (!there)
			model_error(&p->m, 0x80);
	}
}

static void
pair_make(struct pair *p, uint64_t seed)
{
	memset(p, 0, sizeof(*p));
	p->seed = seed;
	p->random = seed * 0x9e3779b97f4a7c15ULL;
	p->now = p->tsc = 1000000;
	p->m.mode = XAPIC;
	p->m.id = any(p) & 63;
	p->m.bsp = any(p) & 1;
	model_clear(&p->m);
	lapic_reset(&p->l, p->m.id, p->m.bsp);
}

START_TEST(random_against_the_model)
{
	unsigned interrupts = 0, expiries = 0;
	struct pair p;
	uint64_t seed;

	for (seed = 1; seed <= 8; seed++) {
		pair_make(&p, seed);
		for (p.step = 0; p.step < STEPS / 8; p.step++) {
			step_any(&p);
			compare(&p);
		}
		interrupts += p.interrupts;
		expiries += p.expiries;
	}
	/* It was about something. */
	ck_assert_uint_gt(interrupts, STEPS / 50);
	ck_assert_uint_gt(expiries, STEPS / 200);
}
END_TEST

/* A state with bits changed is refused, or is as good as any other. */
START_TEST(hostile_state)
{
	struct lapic_action a;
	unsigned taken = 0, i;
	struct pair p;
	uint64_t val;

	pair_make(&p, 99);
	for (i = 0; i < 20000; i++) {
		struct lapic l;
		unsigned n;

		step_any(&p);
		l = p.l;
		for (n = 1 + any(&p) % 3; n > 0; n--)
			((uint8_t *)&l)[any(&p) % sizeof(l)] ^=
			    (uint8_t)(1 << any(&p) % 8);
		if (!lapic_valid(&l, p.now))
			continue;
		taken++;
		for (n = 0; n < 20; n++) {
			unsigned reg = any_register(&p);

			lapic_write(&l, reg, any_value(&p, reg), p.now, &a);
			lapic_read(&l, any(&p) % 0x40, p.now, &val);
			lapic_timer_expired(&l, p.now + any(&p), p.tsc);
			if (lapic_pending(&l) >= 0)
				lapic_ack(&l, (uint8_t)lapic_pending(&l));
		}
		if (!lapic_valid(&l, p.now + UINT32_MAX))
			differ(&p, "no longer valid", 0);
	}
	ck_assert_uint_gt(taken, 1000);
	ck_assert_uint_lt(taken, 19000);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("lapic_model");

	tcase_add_test(tc, random_against_the_model);
	tcase_add_test(tc, hostile_state);
	return test_main("lapic_model", tc);
}
