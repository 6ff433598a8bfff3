/* SPDX-License-Identifier: ISC */
/*
 * The machine that the tests of chips put around them: a clock that stands
 * still until told, lines that count their edges, and a save-and-load round.
 */
#ifndef VMMD_TESTHOST_H
#define VMMD_TESTHOST_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "devices/dev.h"
#include "devices/state.h"

#define TESTHOST_IRQS	16

struct testhost {
	struct dev_host	host;
	uint64_t	now;
	bool		line[TESTHOST_IRQS];
	unsigned	rises[TESTHOST_IRQS];
	unsigned	attentions;
	unsigned	resets;
	unsigned	poweroffs;
};

static inline uint64_t
testhost_now(void *cookie)
{
	struct testhost *t = cookie;

	return t->now;
}

static inline void
testhost_set_irq(void *cookie, unsigned irq, bool level)
{
	struct testhost *t = cookie;

	/* Not ck_assert, which costs a system call each time. */
	if (irq >= TESTHOST_IRQS)
		ck_abort_msg("no such line: %u", irq);
	t->rises[irq] += level && !t->line[irq];
	t->line[irq] = level;
}

static inline void
testhost_attention(void *cookie)
{
	struct testhost *t = cookie;

	t->attentions++;
}

static inline void
testhost_call(void *cookie, struct dev_call *c)
{
	(void)cookie;
	c->task.fn(c->task.arg);
}

static inline void
testhost_reset(void *cookie)
{
	struct testhost *t = cookie;

	t->resets++;
}

static inline void
testhost_poweroff(void *cookie)
{
	struct testhost *t = cookie;

	t->poweroffs++;
}

static inline void
testhost_init(struct testhost *t)
{
	memset(t, 0, sizeof(*t));
	t->now = 1000000007;
	t->host = (struct dev_host){
		.cookie = t,
		.now = testhost_now,
		.set_irq = testhost_set_irq,
		.attention = testhost_attention,
		.call = testhost_call,
		.reset = testhost_reset,
		.poweroff = testhost_poweroff,
	};
}

/* Saves a device into `b`, which the caller frees. */
static inline void
testhost_save(const struct dev_ops *ops, const void *dev, struct buf *b)
{
	struct state_writer w = { b };

	buf_init(b, 1 << 16);
	ck_assert_int_eq(ops->save(dev, &w), 0);
}

/* Loads a device from `b`; the result of load(), which must take all. */
static inline int
testhost_load(const struct dev_ops *ops, void *dev, const struct buf *b)
{
	struct state_reader r = { (const uint8_t *)buf_head(b), b->len };
	int error = ops->load(dev, &r);

	if (error == 0)
		ck_assert_uint_eq(r.left, 0);
	return error;
}

/* Saves `from`, loads into `to`, and proves that both save the same bytes. */
static inline void
testhost_round_trip(const struct dev_ops *ops, const void *from, void *to)
{
	struct buf a, b;

	testhost_save(ops, from, &a);
	ck_assert_int_eq(testhost_load(ops, to, &a), 0);
	testhost_save(ops, to, &b);
	ck_assert_uint_eq(a.len, b.len);
	ck_assert_mem_eq(buf_head(&a), buf_head(&b), a.len);
	buf_free(&a);
	buf_free(&b);
}

/*
 * Loads every one-byte corruption of a device's saved form into `scratch`:
 * each is refused or makes a state that use() can exercise.
 */
static inline void
testhost_corrupt(const struct dev_ops *ops, const void *from, void *scratch,
    void (*use)(void *dev))
{
	static const uint8_t flips[] = { 0x01, 0x80, 0xff, 0x10 };
	unsigned refused = 0;
	struct buf b;
	size_t i, k;

	testhost_save(ops, from, &b);
	for (i = 0; i < b.len; i++) {
		for (k = 0; k < sizeof(flips); k++) {
			buf_head(&b)[i] ^= (char)flips[k];
			if (testhost_load(ops, scratch, &b) == 0)
				use(scratch);
			else
				refused++;
			buf_head(&b)[i] ^= (char)flips[k];
		}
	}
	ck_assert_uint_gt(refused, 0);
	b.len--;
	ck_assert_int_ne(testhost_load(ops, scratch, &b), 0);
	b.len++;
	ck_assert_int_eq(testhost_load(ops, scratch, &b), 0);
	buf_free(&b);
}

/* Numbers of an xorshift generator, the same in every run. */
static inline uint32_t
test_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return (uint32_t)(*seed >> 16);
}

/* Runs one suite made of the given case; main()'s exit status. */
static inline int
test_main(const char *name, TCase *tc)
{
	Suite *s = suite_create(name);
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif /* VMMD_TESTHOST_H */
