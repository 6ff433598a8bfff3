/* SPDX-License-Identifier: ISC */
/* Checkers of x87, SSE and AVX: data, control and status registers. */
#include <cpuid.h>
#include <string.h>

#include "checkers.h"

#define XCR0_AVX	6		/* SSE and AVX state */
#define MXCSR_MASKED	0x1f80
#define FCW_MASKED	0x037f

/* Loads all 16 registers, spins, stores them. */
#define VECTORS(op, size)						\
	op(0, size) op(1, size) op(2, size) op(3, size)			\
	op(4, size) op(5, size) op(6, size) op(7, size)			\
	op(8, size) op(9, size) op(10, size) op(11, size)		\
	op(12, size) op(13, size) op(14, size) op(15, size)
#define LOAD_YMM(n, size)	"vmovdqu " #n "*" #size "(%1), %%ymm" #n "\n"
#define STORE_YMM(n, size)	"vmovdqu %%ymm" #n ", " #n "*" #size "(%2)\n"
#define LOAD_XMM(n, size)	"movdqu " #n "*" #size "(%1), %%xmm" #n "\n"
#define STORE_XMM(n, size)	"movdqu %%xmm" #n ", " #n "*" #size "(%2)\n"
#define SPIN			"1: dec %0\n jnz 1b\n"
#define ALL_XMM								\
	"xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",	\
	"xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"

static bool
have_avx(void)
{
	unsigned a, b, c, d, lo, hi;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE) ||
	    !(c & bit_AVX))
		return (false);
	__asm__ volatile("xgetbv" : "=a" (lo), "=d" (hi) : "c" (0));
	return ((lo & XCR0_AVX) == XCR0_AVX);
}

static void
run_avx(struct check *c)
{
	uint8_t in[16 * 32], out[16 * 32];
	uint32_t spins;

	if (!have_avx())
		check_absent(c);
	do {
		check_fill(c, in, sizeof(in));
		memset(out, 0, sizeof(out));
		spins = check_spins(c);
		__asm__ volatile(VECTORS(LOAD_YMM, 32)
		    SPIN
		    VECTORS(STORE_YMM, 32)
		    "vzeroupper\n"
		    : "+r" (spins)
		    : "r" (in), "r" (out) : ALL_XMM, "cc", "memory");
		check_same(c, "ymm", out, in, sizeof(in));
	} while (check_more(c));
}

/* One of the four roundings, all exceptions masked; flags as they fall. */
static void
run_sse(struct check *c)
{
	uint32_t spins, mxcsr, after, initial = MXCSR_MASKED;
	uint8_t in[16 * 16], out[16 * 16];

	do {
		check_fill(c, in, sizeof(in));
		memset(out, 0, sizeof(out));
		mxcsr = MXCSR_MASKED | (check_random(c) & 0xe03f);
		spins = check_spins(c);
		__asm__ volatile("ldmxcsr %3\n"
		    VECTORS(LOAD_XMM, 16)
		    SPIN
		    VECTORS(STORE_XMM, 16)
		    "stmxcsr %4\n"
		    "ldmxcsr %5\n"
		    : "+r" (spins)
		    : "r" (in), "r" (out), "m" (mxcsr), "m" (after),
		      "m" (initial) : ALL_XMM, "cc", "memory");
		check_same(c, "xmm", out, in, sizeof(in));
		check_same(c, "mxcsr", &after, &mxcsr, sizeof(mxcsr));
	} while (check_more(c));
}

/* An 80-bit number of any exponent, normal. */
static void
fill_x87(struct check *c, uint8_t *p)
{
	check_fill(c, p, 10);
	p[7] |= 0x80;			/* the integer bit */
	p[9] &= 0xbf;			/* neither infinity */
	p[8] |= 1;			/* nor denormal */
}

static void
run_x87(struct check *c)
{
	uint16_t cw, cw_after, sw_after, sw = 0;
	uint8_t in[8 * 10], out[8 * 10];
	uint32_t spins;
	int i;

	do {
		for (i = 0; i < 8; i++)
			fill_x87(c, in + 10 * i);
		memset(out, 0, sizeof(out));
		cw = FCW_MASKED | (check_random(c) & 0x0c00);
		spins = check_spins(c);
		__asm__ volatile("fninit\n"
		    "fldcw %3\n"
		    "fldt 70(%1)\n fldt 60(%1)\n fldt 50(%1)\n fldt 40(%1)\n"
		    "fldt 30(%1)\n fldt 20(%1)\n fldt 10(%1)\n fldt (%1)\n"
		    SPIN
		    "fnstsw %5\n"
		    "fstpt (%2)\n fstpt 10(%2)\n fstpt 20(%2)\n"
		    "fstpt 30(%2)\n fstpt 40(%2)\n fstpt 50(%2)\n"
		    "fstpt 60(%2)\n fstpt 70(%2)\n"
		    "fnstcw %4\n"
		    "fninit\n"
		    : "+r" (spins)
		    : "r" (in), "r" (out), "m" (cw), "m" (cw_after),
		      "m" (sw_after)
		    : "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)",
		      "st(6)", "st(7)", "cc", "memory");
		check_same(c, "st", out, in, sizeof(in));
		check_same(c, "control word", &cw_after, &cw, sizeof(cw));
		check_same(c, "status word", &sw_after, &sw, sizeof(sw));
	} while (check_more(c));
}

const struct checker checkers_fpu[] = {
	{ "avx",	run_avx },
	{ "sse",	run_sse },
	{ "x87",	run_x87 },
	{ NULL,		NULL }
};
