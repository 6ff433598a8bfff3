/* SPDX-License-Identifier: ISC */
/*
 * The page walk: each format and page size, each right, what is marked and
 * what is not, against tables made here.
 */
#include <errno.h>
#include <pthread.h>

#include "devices/gmem.h"
#include "testhost.h"
#include "vmm/gwalk.h"
#include "vmm/hv.h"
#include "vmm/x86.h"

#define RAM		0x10000
#define TOP		0x1000		/* the tables: one page a level */

#define P		UINT64_C(0x001)
#define W		UINT64_C(0x002)
#define U		UINT64_C(0x004)
#define A		UINT64_C(0x020)
#define D		UINT64_C(0x040)
#define PS		UINT64_C(0x080)
#define NX		(UINT64_C(1) << 63)
#define PWU		(P | W | U)

#define R		0
#define WR		GWALK_WRITE
#define US		GWALK_USER
#define FE		GWALK_FETCH
#define RSVD		(GWALK_PRESENT | GWALK_RESERVED)

#define GPA(x)		.gpa = (x)
#define FAULT(x)	.fault = true, .code = (x)

static struct gmem	gm;
static uint8_t		*ram;

static void
setup(void)
{
	ram = aligned_alloc(4096, RAM);
	memset(ram, 0, RAM);
	memset(&gm, 0, sizeof(gm));
	gm.range[0] = (struct gmem_range){ .size = RAM, .hva = ram };
	gm.nranges = 1;
}

static void
teardown(void)
{
	free(ram);
}

/* The bits of a linear address that pick entry `level` of `levels`. */
static unsigned
entry_offset(unsigned levels, unsigned level, uint64_t va)
{
	if (levels == 2)
		return (va >> (12 + 10 * (level - 1)) & 0x3ff) * 4;
	return (va >> (12 + 9 * (level - 1)) & 0x1ff) * 8;
}

static void *
entry(unsigned levels, unsigned level, uint64_t va)
{
	return ram + TOP + 0x1000 * (levels - level) +
	    entry_offset(levels, level, va);
}

static uint64_t
get_entry(unsigned levels, unsigned level, uint64_t va)
{
	uint64_t e = 0;

	memcpy(&e, entry(levels, level, va), levels == 2 ? 4 : 8);
	return e;
}

/* Entries from the top; those that only point get the next table's address. */
static void
make_tables(unsigned levels, uint64_t va, const uint64_t *e, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		uint64_t val = e[i];

		if (i + 1 < n)
			val |= TOP + 0x1000 * (i + 1);
		memcpy(entry(levels, levels - i, va), &val,
		    levels == 2 ? 4 : 8);
	}
}

static struct hv_regs
regs_for(unsigned levels)
{
	struct hv_regs r = { .cr3 = TOP, .cr0 = CR0_PE | CR0_PG | CR0_WP };

	if (levels == 0)
		r.cr0 = CR0_PE;
	if (levels == 2)
		r.cr4 = CR4_PSE;
	if (levels > 2) {
		r.cr4 = CR4_PAE;
		r.efer = EFER_NXE;
	}
	if (levels == 4)
		r.efer |= EFER_LMA;
	return r;
}

struct row {
	unsigned	levels;
	uint64_t	va;
	uint64_t	e[4];		/* from the top; 0: no more */
	unsigned	access;
	uint64_t	gpa;
	uint32_t	code;		/* with `fault` */
	bool		fault;
	uint64_t	cr0_off, cr4_flip, efer_off, rflags;
};

#define VA4	UINT64_C(0xffff8123456789ab)
#define VA3	UINT64_C(0x87654321)

static const struct row translations[] = {
	{ 0, 0x12345678, { 0 }, WR | US, GPA(0x12345678) },
	/* 4 KiB, 2 MiB and 1 GiB in long mode; bits 51-12 of the address. */
	{ 4, VA4, { PWU, PWU, PWU, PWU | 0x0003456789abc000 }, WR | US,
	    GPA(0x0003456789abc9ab) },
	{ 4, VA4, { PWU, PWU, PWU | PS | 0x12200000 }, WR | US,
	    GPA(0x122789ab) },
	{ 4, VA4, { PWU, PWU | PS | 0x1c0000000 }, R, GPA(0x1c56789ab) },
	/* PAT and the ignored bits are no address. */
	{ 4, VA4, { PWU, PWU, PWU | PS | 0x401e00 }, R, GPA(0x4789ab) },
	{ 4, VA4, { PWU, PWU, PWU, PWU | PS | 0x100 | 0x7ff0000000005000 }, R,
	    GPA(0x59ab) },
	/* PAE. */
	{ 3, VA3, { P, PWU, PWU | 0x0003456789abc000 }, WR | US,
	    GPA(0x0003456789abc321) },
	{ 3, VA3, { P, PWU | PS | 0x12200000 }, WR | US,
	    GPA(0x12254321) },
	/* 32 bits; a page of 4 MiB above 4 GiB. */
	{ 2, VA3, { PWU, PWU | 0xfedcb000 }, WR | US, GPA(0xfedcb321) },
	{ 2, VA3, { PWU | PS | 0x80000000 }, WR | US, GPA(0x80254321) },
	{ 2, VA3, { PWU | PS | 0x401fe000 }, R, GPA(0xff40254321) },
	/* Without CR4.PSE the bit means nothing. */
	{ 2, VA3, { PWU | PS, PWU | 0x5000 }, R, GPA(0x5321),
	    .cr4_flip = CR4_PSE },
};

static const struct row rights[] = {
	/* Not there, at each level; the code says what was tried. */
	{ 4, VA4, { W | U }, R, FAULT(0) },
	{ 4, VA4, { PWU, W }, WR, FAULT(WR) },
	{ 4, VA4, { PWU, PWU, W }, WR | US, FAULT(WR | US) },
	{ 4, VA4, { PWU, PWU, PWU, W }, FE, FAULT(FE) },
	{ 2, VA3, { PWU, W }, FE, FAULT(0) },
	/* U and W at any level. */
	{ 4, VA4, { P | W, PWU, PWU, PWU }, US, FAULT(P | US) },
	{ 4, VA4, { PWU, P | W, PWU, PWU }, US, FAULT(P | US) },
	{ 4, VA4, { PWU, PWU, PWU, P | W }, US | WR, FAULT(P | US | WR) },
	{ 4, VA4, { PWU, PWU, PWU, P | W }, WR, GPA(0x9ab) },
	{ 4, VA4, { P | U, PWU, PWU, PWU }, US | WR, FAULT(P | US | WR) },
	{ 4, VA4, { PWU, PWU, P | U, PWU }, WR, FAULT(P | WR) },
	{ 4, VA4, { PWU, PWU, P | U, PWU }, WR, GPA(0x9ab), .cr0_off = CR0_WP },
	{ 4, VA4, { PWU, PWU, P | U, PWU }, WR | US, FAULT(P | WR | US),
	    .cr0_off = CR0_WP },
	{ 4, VA4, { PWU, PWU, P | U, PWU }, US, GPA(0x9ab) },
	{ 2, VA3, { PWU, P | U | 0x3000 }, WR, FAULT(P | WR) },
	{ 2, VA3, { PWU, P | W | 0x3000 }, US, FAULT(P | US) },
	/* NX at any level, for fetches alone. */
	{ 4, VA4, { PWU | NX, PWU, PWU, PWU }, FE, FAULT(P | FE) },
	{ 4, VA4, { PWU, PWU, PWU, PWU | NX }, FE | US, FAULT(P | FE | US) },
	{ 4, VA4, { PWU, PWU, PWU, PWU | NX }, WR | US, GPA(0x9ab) },
	{ 4, VA4, { PWU, PWU, PWU, PWU }, FE | US, GPA(0x9ab) },
	{ 3, VA3, { P, PWU | NX, PWU }, FE, FAULT(P | FE) },
	/* SMEP, SMAP, and AC that lifts it. */
	{ 4, VA4, { PWU, PWU, PWU, PWU }, FE, GPA(0x9ab) },
	{ 4, VA4, { PWU, PWU, PWU, PWU }, FE, FAULT(P | FE),
	    .cr4_flip = CR4_SMEP },
	{ 2, VA3, { PWU, PWU }, FE, FAULT(P | FE),
	    .cr4_flip = CR4_SMEP },
	{ 4, VA4, { PWU, PWU, PWU, P | W }, FE, GPA(0x9ab),
	    .cr4_flip = CR4_SMEP },
	{ 4, VA4, { PWU, PWU, PWU, PWU }, R, GPA(0x9ab) },
	{ 4, VA4, { PWU, PWU, PWU, PWU }, R, FAULT(P), .cr4_flip = CR4_SMAP },
	{ 4, VA4, { PWU, PWU, PWU, PWU }, R, GPA(0x9ab), .cr4_flip = CR4_SMAP,
	    .rflags = RFLAGS_AC },
	{ 4, VA4, { PWU, PWU, PWU, PWU }, US, GPA(0x9ab),
	    .cr4_flip = CR4_SMAP },
	/* Reserved bits: NX without NXE, PS on top, beyond 48 bits, in the
	   address of a large page. */
	{ 4, VA4, { PWU, PWU, PWU, PWU | NX }, R, FAULT(RSVD),
	    .efer_off = EFER_NXE },
	{ 4, VA4, { PWU | PS, PWU, PWU, PWU }, R, FAULT(RSVD) },
	{ 4, VA4, { PWU, PWU, PWU | UINT64_C(1) << 50, PWU }, US,
	    FAULT(RSVD | US) },
	{ 4, VA4, { PWU, PWU, PWU | PS | 0x2000 }, R, FAULT(RSVD) },
	{ 4, VA4, { PWU, PWU, PWU | PS | 0x100000 }, R, FAULT(RSVD) },
	{ 4, VA4, { PWU, PWU | PS | 0x20000000 }, WR, FAULT(RSVD | WR) },
	{ 3, VA3, { PWU, PWU, PWU }, R, FAULT(RSVD) },
	{ 3, VA3, { P, PWU, PWU | UINT64_C(1) << 55 }, R, FAULT(RSVD) },
	{ 2, VA3, { PWU | PS | 0x200000 }, R, FAULT(RSVD) },
};

static void
check_row(const struct row *row)
{
	struct hv_regs r = regs_for(row->levels);
	struct gwalk_fault f = { 0 };
	uint64_t gpa = 0;
	struct gwalk w;
	unsigned n;
	int error;

	for (n = 0; n < 4 && row->e[n] != 0; n++)
		;
	make_tables(row->levels, row->va, row->e, n);
	r.cr0 &= ~row->cr0_off;
	r.cr4 ^= row->cr4_flip;
	r.efer &= ~row->efer_off;
	r.rflags = row->rflags;
	gwalk_init(&w, &gm, &r, 50);
	error = gwalk_page(&w, row->va, row->access, &gpa, &f);
	ck_assert_int_eq(error, row->fault ? -EFAULT : 0);
	if (row->fault) {
		ck_assert_uint_eq(f.code, row->code);
		ck_assert_uint_eq(f.va, row->va);
	} else
		ck_assert_uint_eq(gpa, row->gpa);
}

START_TEST(translates)
{
	check_row(&translations[_i]);
}
END_TEST

START_TEST(checks_rights)
{
	check_row(&rights[_i]);
}
END_TEST

/* Accessed everywhere, dirty in the page's entry after a write alone. */
START_TEST(marks)
{
	unsigned levels = (unsigned)_i, top = levels == 3 ? 2 : levels, l;
	uint64_t va = levels == 4 ? VA4 : VA3, e[4] = { PWU, PWU, PWU, PWU };
	struct hv_regs r = regs_for(levels);
	struct gwalk_fault f;
	struct gwalk w;
	uint64_t gpa;

	if (levels == 3)
		e[0] = P;
	make_tables(levels, va, e, levels);
	gwalk_init(&w, &gm, &r, 48);
	ck_assert_int_eq(gwalk_page(&w, va, GWALK_USER, &gpa, &f), 0);
	for (l = 1; l <= top; l++)
		ck_assert_uint_eq(get_entry(levels, l, va) & (A | D), A);
	ck_assert_int_eq(gwalk_page(&w, va, GWALK_WRITE, &gpa, &f), 0);
	ck_assert_uint_eq(get_entry(levels, 1, va) & (A | D), A | D);
	for (l = 2; l <= levels; l++)
		ck_assert_uint_eq(get_entry(levels, l, va) & (A | D),
		    l <= top ? A : 0);
}
END_TEST

START_TEST(faults_mark_nothing)
{
	const uint64_t e[4] = { PWU, PWU, PWU, P | U };
	struct hv_regs r = regs_for(4);
	uint8_t before[RAM];
	struct gwalk_fault f;
	struct gwalk w;
	uint64_t gpa;

	make_tables(4, VA4, e, 4);
	memcpy(before, ram, RAM);
	gwalk_init(&w, &gm, &r, 48);
	ck_assert_int_eq(gwalk_page(&w, VA4, GWALK_WRITE, &gpa, &f), -EFAULT);
	ck_assert_mem_eq(ram, before, RAM);
}
END_TEST

/* What is not RAM reads ones, so that the entry breaks the rules. */
START_TEST(tables_out_of_memory)
{
	struct hv_regs r = regs_for(4);
	struct gwalk_fault f;
	struct gwalk w;
	uint64_t gpa;

	r.cr3 = RAM;
	gwalk_init(&w, &gm, &r, 48);
	ck_assert_int_eq(gwalk_page(&w, VA4, GWALK_USER, &gpa, &f), -EFAULT);
	ck_assert_uint_eq(f.code, RSVD | GWALK_USER);
	/* Of 32 bits all are allowed: there is a page, and nothing to mark. */
	r = regs_for(2);
	r.cr3 = RAM;
	r.cr4 = 0;
	gwalk_init(&w, &gm, &r, 48);
	ck_assert_int_eq(gwalk_page(&w, VA3, GWALK_WRITE, &gpa, &f), 0);
	ck_assert_uint_eq(gpa, 0xfffff321);
}
END_TEST

/* CR3's low bits are flags, or a PCID; of PAE's, some are address. */
START_TEST(root)
{
	const uint64_t e4[4] = { PWU, PWU, PWU, PWU | 0x5000 };
	const uint64_t e3[3] = { P, PWU, PWU | 0x6000 };
	struct hv_regs r = regs_for(4);
	struct gwalk_fault f;
	struct gwalk w;
	uint64_t gpa;

	make_tables(4, VA4, e4, 4);
	r.cr3 |= 0xfff;
	gwalk_init(&w, &gm, &r, 48);
	ck_assert_int_eq(gwalk_page(&w, VA4, 0, &gpa, &f), 0);
	ck_assert_uint_eq(gpa, 0x59ab);
	memset(ram, 0, RAM);
	make_tables(3, VA3, e3, 3);
	memmove(ram + TOP + 0xfe0, ram + TOP, 32);
	r = regs_for(3);
	r.cr3 += 0xfe0 + 0x1f;
	gwalk_init(&w, &gm, &r, 48);
	ck_assert_int_eq(gwalk_page(&w, VA3, 0, &gpa, &f), 0);
	ck_assert_uint_eq(gpa, 0x6321);
}
END_TEST

#define COUNTS	200000

/* Another processor: it counts in the entry's free bits, and clears A. */
static void *
counter_main(void *arg)
{
	uint64_t *e = arg;
	unsigned i;

	for (i = 0; i < COUNTS; i++) {
		__atomic_fetch_add(e, UINT64_C(1) << 52, __ATOMIC_SEQ_CST);
		__atomic_fetch_and(e, ~A, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

START_TEST(others_change_entries)
{
	const uint64_t e[4] = { PWU, PWU, PWU, PWU | 0x5000 };
	struct hv_regs r = regs_for(4);
	struct gwalk_fault f;
	struct gwalk w;
	pthread_t thread;
	uint64_t gpa, *leaf = entry(4, 1, VA4);
	int error, i;

	make_tables(4, VA4, e, 4);
	gwalk_init(&w, &gm, &r, 48);
	ck_assert_int_eq(pthread_create(&thread, NULL, counter_main, leaf), 0);
	for (i = 0; i < COUNTS; i++) {
		error = gwalk_page(&w, VA4, 0, &gpa, &f);
		if (error != 0 && error != -EAGAIN)
			break;
	}
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_int_eq(i, COUNTS);
	/* None of its counts was written over; 11 bits count. */
	ck_assert_uint_eq(*leaf >> 52 & 0x7ff, COUNTS & 0x7ff);
}
END_TEST

START_TEST(spans)
{
	uint64_t e[4] = { PWU, PWU, PWU, PWU | 0x5000 }, next = PWU | 0x9000;
	uint64_t last = UINT64_C(0xffff812345678fff), mask = UINT64_MAX;
	struct hv_regs r = regs_for(4);
	struct gwalk_fault f;
	struct gwalk_span s;
	struct gwalk w;

	make_tables(4, last, e, 4);
	gwalk_init(&w, &gm, &r, 48);
	/* The last byte of a page, and one more. */
	ck_assert_int_eq(gwalk_span(&w, last, 1, mask, 0, &s, &f), 0);
	ck_assert_uint_eq(s.gpa[0], 0x5fff);
	ck_assert_uint_eq(s.len[0], 1);
	ck_assert_uint_eq(s.len[1], 0);
	ck_assert_int_eq(gwalk_span(&w, last, 2, mask, WR, &s, &f), -EFAULT);
	ck_assert_uint_eq(f.va, last + 1);
	ck_assert_uint_eq(f.code, WR);
	memcpy(entry(4, 1, last + 1), &next, 8);
	ck_assert_int_eq(gwalk_span(&w, last - 2, 8, mask, WR, &s, &f), 0);
	ck_assert_uint_eq(s.gpa[0], 0x5ffd);
	ck_assert_uint_eq(s.len[0], 3);
	ck_assert_uint_eq(s.gpa[1], 0x9000);
	ck_assert_uint_eq(s.len[1], 5);
	/* At the end of 32 bits follows the beginning. */
	r = regs_for(0);
	gwalk_init(&w, &gm, &r, 48);
	ck_assert_int_eq(gwalk_span(&w, 0xfffffffe, 4, UINT32_MAX, 0, &s, &f),
	    0);
	ck_assert_uint_eq(s.gpa[0], 0xfffffffe);
	ck_assert_uint_eq(s.gpa[1], 0);
	ck_assert_uint_eq(s.len[1], 2);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("gwalk");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, translates, 0,
	    sizeof(translations) / sizeof(translations[0]));
	tcase_add_loop_test(tc, checks_rights, 0,
	    sizeof(rights) / sizeof(rights[0]));
	tcase_add_loop_test(tc, marks, 2, 5);
	tcase_add_test(tc, faults_mark_nothing);
	tcase_add_test(tc, tables_out_of_memory);
	tcase_add_test(tc, root);
	tcase_add_test(tc, others_change_entries);
	tcase_add_test(tc, spans);
	return test_main("gwalk", tc);
}
