/* SPDX-License-Identifier: ISC */
/* vmm-ioctl: VMM_GET_STATE and VMM_SET_STATE. */
#include <sys/ioctl.h>

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "ioctl-test.h"

GUEST_BLOB16(code_reset, "hlt");
GUEST_BLOB64(code_regs,
	"mov $0x100, %dx\n"
	"hlt\n");

#define CR0_CD		0x40000000ULL
#define CR0_NW		0x20000000ULL
#define UPPER		(1ULL << 32)

/* The values of APM volume 2, table 14-1. */
static void
test_reset(void)
{
	struct vmm_state s;
	struct guest g;
	int i;

	vmm_create(&g);
	g.vcpu = ioctl(g.vm, VMM_CREATE_VCPU, 0);
	WANT(g.vcpu != -1);
	memset(&s, 0xff, sizeof(s));
	guest_get(&g, &s);
	for (i = 0; i < VMM_NGPR; i++)
		WANT_EQ(s.regs.gpr[i], 0);
	WANT_EQ(s.regs.rip, 0xfff0);
	WANT_EQ(s.regs.rflags, 2);
	WANT_EQ(s.regs.cr0, 0x60000010);
	WANT_EQ(s.regs.cr2 | s.regs.cr3 | s.regs.cr4 | s.regs.efer, 0);
	WANT_EQ(s.regs.seg[VMM_CS].selector, 0xf000);
	WANT_EQ(s.regs.seg[VMM_CS].base, 0xffff0000);
	WANT_EQ(s.regs.seg[VMM_CS].ar, 0x9b);
	for (i = VMM_ES; i < VMM_NSEG; i++)
		WANT_EQ(s.regs.seg[i].limit, 0xffff);
	WANT_EQ(s.gdtr.limit, 0xffff);
	WANT_EQ(s.idtr.limit, 0xffff);
	WANT_EQ(s.dr6, 0xffff0ff0);
	WANT_EQ(s.dr7, 0x400);
	WANT_EQ(s.pat, 0x0007040600070406ULL);
	WANT_EQ(s.xcr0, 1);
	WANT_EQ(s.event, 0);
	WANT_EQ(s.halted | s.shadow, 0);
}

/* Every field its own value, none of which the CPU is asked to run. */
static void
fill_state(struct vmm_state *s)
{
	uint64_t n = 0x1000;
	int i;

	memset(s, 0, sizeof(*s));
	for (i = 0; i < VMM_NGPR; i++)
		s->regs.gpr[i] = 0x0123456789abcdefULL * ++n;
	s->regs.rip = 0xffffffff81000000ULL;
	s->regs.rflags = 0x246;
	s->regs.cr0 = 0x80050033;
	s->regs.cr2 = ++n << 32;
	s->regs.cr3 = ++n << 12;
	s->regs.cr4 = 0x406b0;
	s->regs.efer = 0xd01;
	for (i = 0; i < VMM_NSEG; i++) {
		s->regs.seg[i].base = ++n << 20;
		s->regs.seg[i].limit = ++n;
		s->regs.seg[i].selector = ++n;
		s->regs.seg[i].ar = 0xf0f3;
	}
	s->gdtr.base = ++n << 30;
	s->gdtr.limit = ++n;
	s->idtr.base = ++n << 30;
	s->idtr.limit = ++n;
	s->cr8 = 15;
	s->xcr0 = 7;
	for (i = 0; i < 4; i++)
		s->dr[i] = ++n << 16;
	s->dr6 = 0xffff0ff1;
	s->dr7 = 0xffff0755;
	s->pat = 0x0001040506070406ULL;
	s->star = ++n << 32;
	s->lstar = ++n << 33;
	s->cstar = ++n << 34;
	s->sfmask = ++n;
	s->kernel_gs_base = ++n << 35;
	s->sysenter_cs = ++n;
	s->sysenter_esp = ++n << 36;
	s->sysenter_eip = ++n << 37;
	s->event = 0x1234567880000b0dULL;
	s->shadow = 1;
}

static void
test_round_trip(void)
{
	struct vmm_state in, out;
	struct guest g;

	guest_open(&g);
	GUEST_REAL(&g, code_reset);
	fill_state(&in);
	guest_set(&g, &in);
	memset(&out, 0xff, sizeof(out));
	guest_get(&g, &out);
	WANT(out.tsc > 0);
	out.tsc = in.tsc;
	WANT_EQ(memcmp(&in.regs, &out.regs, sizeof(in.regs)), 0);
	WANT_EQ(memcmp(in.dr, out.dr, sizeof(in.dr)), 0);
	WANT_EQ(memcmp(&in, &out, sizeof(in)), 0);
	in.event = 0;
	in.halted = 1;
	guest_set(&g, &in);
	guest_get(&g, &out);
	WANT_EQ(out.event, 0);
	WANT_EQ(out.halted, 1);
}

/* What a guest runs with is what was set, and the run page says the same. */
static void
test_run_page(void)
{
	struct vmm_state s;
	struct guest g;
	int i;

	guest_open(&g);
	GUEST_LONG(&g, code_regs);
	guest_get(&g, &s);
	for (i = 0; i < VMM_NGPR; i++)
		if (i != VMM_RSP)
			s.regs.gpr[i] = 0x1111111111111111ULL * i;
	s.regs.cr2 = 0xdeadbeef000;
	guest_set(&g, &s);
	guest_run(&g, VMM_EXIT_HLT);
	guest_get(&g, &s);
	WANT_EQ(memcmp(&g.run->regs, &s.regs, sizeof(s.regs)), 0);
	for (i = 0; i < VMM_NGPR; i++)
		if (i != VMM_RSP && i != VMM_RDX)
			WANT_EQ(s.regs.gpr[i], 0x1111111111111111ULL * i);
	WANT_EQ(s.regs.gpr[VMM_RDX], 0x2222222222220100ULL);
	WANT_EQ(s.regs.cr2, 0xdeadbeef000);
	WANT_EQ(s.regs.rip, GUEST_CODE + (code_regs_end - code_regs));
}

/* A field as 64 bits of the state, and a value it must not be given. */
#define BAD(member, set)	{ #member " = " #set,			\
	offsetof(struct vmm_state, member),				\
	sizeof(((struct vmm_state *)0)->member), set }

static const struct bad {
	const char	*what;
	size_t		 off;
	size_t		 size;
	uint64_t	 value;
} bad_fields[] = {
	BAD(regs.efer, 1ULL << 12),		/* SVME */
	BAD(regs.efer, 1ULL << 1),
	BAD(regs.efer, 1ULL << 63),
	BAD(regs.cr0, CR0_NW),
	BAD(regs.cr0, UPPER),
	BAD(regs.cr4, UPPER),
	BAD(dr6, UPPER),
	BAD(dr7, UPPER),
	BAD(cr8, 16),
	BAD(xcr0, 0),
	BAD(xcr0, 2),				/* no x87 */
	BAD(xcr0, 5),				/* AVX without SSE */
	BAD(xcr0, 1ULL << 63 | 7),
	BAD(xcr0, 1ULL << 9 | 7),		/* PKRU */
	BAD(xcr0, 1ULL << 5 | 7),		/* AVX-512, in part */
	BAD(event, 0x20),			/* not valid */
	BAD(event, VMM_EVENT_VALID | 0x1000),
	BAD(event, VMM_EVENT_VALID | 0x40000000),
	BAD(pat, 0x0007040600070402),		/* no such types */
	BAD(pat, 0x0307040600070406),
	BAD(pat, 0x0007040608070406),
	BAD(halted, 3),
	BAD(shadow, 2),
	BAD(kicked, 2),
	BAD(gdtr.reserved[0], 1),
	BAD(gdtr.reserved[2], 1),
	BAD(idtr.reserved[1], 1),
	BAD(reserved2, 1),
	BAD(reserved, 1),
	BAD(reserved, UPPER),
};

static void
test_refused(void)
{
	struct vmm_state good, s, after;
	const struct bad *b;
	struct guest g;
	size_t i;

	guest_open(&g);
	GUEST_REAL(&g, code_reset);
	guest_get(&g, &good);
	for (i = 0; i < sizeof(bad_fields) / sizeof(bad_fields[0]); i++) {
		b = &bad_fields[i];
		s = good;
		s.regs.gpr[VMM_RAX] = ~good.regs.gpr[VMM_RAX];
		s.xcr0 = 3;
		s.dr[0]++;
		memcpy((char *)&s + b->off, &b->value, b->size);
		if (ioctl(g.vcpu, VMM_SET_STATE, &s) == 0)
			fail("%s is taken", b->what);
		WANT_EQ(errno, EINVAL);
		/* All or nothing. */
		guest_get(&g, &after);
		after.tsc = good.tsc;
		if (memcmp(&after, &good, sizeof(good)) != 0)
			fail("%s is refused, but something changed", b->what);
	}
}

/* Their neighbours, which are fine. */
static void
test_accepted(void)
{
	struct vmm_state s;
	struct guest g;

	guest_open(&g);
	GUEST_REAL(&g, code_reset);
	guest_get(&g, &s);
	s.regs.efer = 1ULL << 11 | 1ULL << 8 | 1;
	s.regs.cr0 |= CR0_NW | CR0_CD;
	s.dr6 = s.dr7 = UPPER - 1;
	s.cr8 = 15;
	s.xcr0 = 3;
	s.event = VMM_EVENT_VALID | VMM_EVENT_VECTOR | VMM_EVENT_TYPE |
	    VMM_EVENT_HAS_ERROR | VMM_EVENT_ERROR;
	guest_set(&g, &s);
	s.xcr0 = 7;
	s.event = 0;
	guest_set(&g, &s);
}

/* What only the CPU can judge it does, and the vCPU lives on. */
static void
test_invalid(void)
{
	struct vmm_state good, s;
	struct guest g;

	guest_open(&g);
	GUEST_LONG(&g, code_regs);
	guest_get(&g, &good);
	s = good;
	s.regs.cr4 = 0;				/* long mode without PAE */
	guest_set(&g, &s);
	guest_run(&g, VMM_EXIT_INVALID);
	guest_run(&g, VMM_EXIT_INVALID);	/* nor any later */
	s = good;
	s.regs.cr0 &= ~1ULL;			/* paging without PE */
	guest_set(&g, &s);
	guest_run(&g, VMM_EXIT_INVALID);
	s = good;
	s.regs.seg[VMM_CS].ar |= 0x4000;	/* both L and D */
	guest_set(&g, &s);
	guest_run(&g, VMM_EXIT_INVALID);
	guest_set(&g, &good);
	guest_run(&g, VMM_EXIT_HLT);
}

const struct test tests_state[] = {
	{ "state-reset",	test_reset },
	{ "state-round-trip",	test_round_trip },
	{ "state-run-page",	test_run_page },
	{ "state-refused",	test_refused },
	{ "state-accepted",	test_accepted },
	{ "state-invalid",	test_invalid },
	{ NULL,			NULL }
};
