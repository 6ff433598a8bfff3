/* SPDX-License-Identifier: ISC */
/* The small guests of vmm-ioctl: memory, handlers, registers, runs. */
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ioctl-test.h"

#define CR0_PE		0x00000001
#define CR0_ET		0x00000010
#define CR0_NE		0x00000020
#define CR0_PG		0x80000000ULL
#define CR4_PAE		0x00000020
#define CR4_OSFXSR	0x00000200
#define EFER_LME	0x00000100
#define EFER_LMA	0x00000400

#define AR_DATA		0xc093
#define AR_CODE16	0x009b
#define AR_DATA16	0x0093
#define AR_CODE64	0xa09b

#define PTE_TABLE	0x003	/* present, writable */
#define PTE_LARGE	0x083

#define IDT_GATE	0x8e	/* interrupt gate, present */

void
vmm_create(struct guest *g)
{
	memset(g, 0, sizeof(*g));
	g->vcpu = -1;
	g->dev = open("/dev/vmm", O_RDWR | O_CLOEXEC);
	if (g->dev == -1)
		fail("/dev/vmm: %s", strerror(errno));
	g->vm = ioctl(g->dev, VMM_CREATE_VM, 0);
	if (g->vm == -1)
		fail("VMM_CREATE_VM: %s", strerror(errno));
}

int
vmm_memory(const struct guest *g, uint64_t gpa, uint64_t size,
    const void *address)
{
	struct vmm_memory m = {
		.gpa = gpa, .size = size, .address = (uintptr_t)address,
	};

	return (ioctl(g->vm, VMM_SET_MEMORY, &m));
}

void *
guest_memory(struct guest *g, uint64_t gpa, size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || vmm_memory(g, gpa, size, p) == -1)
		fail("memory at %#llx: %s", (unsigned long long)gpa,
		    strerror(errno));
	return (p);
}

/* `out %al, $VECTOR; iret`, 4 bytes in either mode, and the real-mode IVT. */
static void
fill_stubs(struct guest *g)
{
	uint16_t ivt[2] = { 0, 0 };
	unsigned i;
	uint8_t *p;

	for (i = 0; i < 256; i++) {
		p = g->ram + GUEST_STUBS + 4 * i;
		p[0] = 0xe6;
		p[1] = i;
		p[2] = 0xcf;
		ivt[0] = GUEST_STUBS + 4 * i;
		memcpy(g->ram + 4 * i, ivt, sizeof(ivt));
	}
}

void
guest_open(struct guest *g)
{
	struct vmm_cpuid *c;

	vmm_create(g);
	g->ram = guest_memory(g, 0, GUEST_SIZE);
	fill_stubs(g);
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		fail("no memory");
	c->count = VMM_MAX_CPUID;
	WANT_ERRNO(ioctl(g->dev, VMM_GET_CPUID, c), 0);
	WANT_ERRNO(ioctl(g->vm, VMM_SET_CPUID, c), 0);
	free(c);
}

static void
open_vcpu(struct guest *g, unsigned id)
{
	g->vcpu = ioctl(g->vm, VMM_CREATE_VCPU, id);
	if (g->vcpu == -1)
		fail("VMM_CREATE_VCPU: %s", strerror(errno));
	g->run = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, g->vcpu,
	    0);
	if (g->run == MAP_FAILED)
		fail("mmap of the run page: %s", strerror(errno));
}

void
guest_vcpu(const struct guest *g, unsigned id, struct guest *other)
{
	*other = *g;
	open_vcpu(other, id);
	other->id = id;
}

static void
make_vcpu(struct guest *g, const uint8_t *code, const uint8_t *end)
{
	open_vcpu(g, 0);
	WANT(end - code <= GUEST_STACK - GUEST_CODE);
	memcpy(g->ram + GUEST_CODE, code, end - code);
}

void
guest_get(const struct guest *g, struct vmm_state *s)
{
	WANT_ERRNO(ioctl(g->vcpu, VMM_GET_STATE, s), 0);
}

void
guest_set(const struct guest *g, const struct vmm_state *s)
{
	WANT_ERRNO(ioctl(g->vcpu, VMM_SET_STATE, s), 0);
}

void
guest_start(const struct guest *g, uint64_t rip, struct guest *other)
{
	struct vmm_state s;

	guest_get(g, &s);
	s.regs.rip = rip;
	s.regs.gpr[VMM_RSP] = GUEST_STACK - other->id * GUEST_STACKS;
	s.halted = VMM_HALTED_NO;
	guest_set(other, &s);
}

static void
set_segments(struct vmm_state *s, uint16_t code, uint16_t data,
    uint32_t limit)
{
	int i;

	for (i = VMM_ES; i <= VMM_GS; i++) {
		memset(&s->regs.seg[i], 0, sizeof(s->regs.seg[i]));
		s->regs.seg[i].limit = limit;
		s->regs.seg[i].ar = i == VMM_CS ? code : data;
	}
}

void
guest_real(struct guest *g, const uint8_t *code, const uint8_t *end)
{
	struct vmm_state s;

	make_vcpu(g, code, end);
	guest_get(g, &s);
	set_segments(&s, AR_CODE16, AR_DATA16, 0xffff);
	s.regs.rip = GUEST_CODE;
	s.regs.gpr[VMM_RSP] = GUEST_STACK;
	guest_set(g, &s);
}

/* The first GiB mapped to itself, handlers as in real mode. */
static void
fill_tables(struct guest *g)
{
	uint64_t *pml4 = (uint64_t *)(g->ram + GUEST_TABLES);
	uint64_t *pdpt = pml4 + 512, *pd = pdpt + 512;
	uint64_t *gdt = (uint64_t *)(g->ram + GUEST_GDT);
	uint16_t *gate;
	unsigned i;

	pml4[0] = (GUEST_TABLES + 4096) | PTE_TABLE;
	pdpt[0] = (GUEST_TABLES + 8192) | PTE_TABLE;
	for (i = 0; i < 512; i++)
		pd[i] = (uint64_t)i << 21 | PTE_LARGE;
	gdt[GUEST_CS / 8] = 0x00af9b000000ffffULL;
	gdt[GUEST_DS / 8] = 0x00cf93000000ffffULL;
	for (i = 0; i < 256; i++) {
		g->ram[GUEST_STUBS + 4 * i + 2] = 0x48;
		g->ram[GUEST_STUBS + 4 * i + 3] = 0xcf;
		gate = (uint16_t *)(g->ram + GUEST_IDT + 16 * i);
		gate[0] = GUEST_STUBS + 4 * i;
		gate[1] = GUEST_CS;
		gate[2] = IDT_GATE << 8;
	}
}

void
guest_long(struct guest *g, const uint8_t *code, const uint8_t *end)
{
	struct vmm_state s;

	make_vcpu(g, code, end);
	fill_tables(g);
	guest_get(g, &s);
	set_segments(&s, AR_CODE64, AR_DATA, 0xffffffff);
	s.regs.seg[VMM_CS].selector = GUEST_CS;
	s.regs.seg[VMM_SS].selector = GUEST_DS;
	s.regs.cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_PG;
	s.regs.cr3 = GUEST_TABLES;
	s.regs.cr4 = CR4_PAE | CR4_OSFXSR;
	s.regs.efer = EFER_LME | EFER_LMA;
	s.gdtr.base = GUEST_GDT;
	s.gdtr.limit = 3 * 8 - 1;
	s.idtr.base = GUEST_IDT;
	s.idtr.limit = 4095;
	s.regs.rip = GUEST_CODE;
	s.regs.gpr[VMM_RSP] = GUEST_STACK;
	guest_set(g, &s);
}

void
guest_run(struct guest *g, uint32_t reason)
{
	const struct vmm_run *run = g->run;

	do {
		if (ioctl(g->vcpu, VMM_RUN, 0) == -1)
			fail("VMM_RUN: %s", strerror(errno));
	} while (run->reason == VMM_EXIT_NONE && reason != VMM_EXIT_NONE);
	guest_get(g, &g->now);
	if (run->reason != reason)
		fail("exit %u, not %u, at rip %#llx; port or code %#llx",
		    run->reason, reason, (unsigned long long)g->now.regs.rip,
		    run->reason == VMM_EXIT_IO ?
		    (unsigned long long)run->io.port :
		    (unsigned long long)run->hw.code);
}

uint32_t
guest_out(struct guest *g, uint16_t port)
{
	const struct vmm_run *run = g->run;

	guest_run(g, VMM_EXIT_IO);
	if (run->io.port != port || run->io.flags != 0)
		fail("port %#x, flags %#x, not port %#x, at rip %#llx",
		    run->io.port, run->io.flags, port,
		    (unsigned long long)g->now.regs.rip);
	switch (run->io.size) {
	case 1:
		return (run->io.data & 0xff);
	case 2:
		return (run->io.data & 0xffff);
	default:
		return (run->io.data);
	}
}

void
guest_vector(struct guest *g, uint8_t vector)
{
	guest_out(g, vector);
	WANT_EQ(g->run->io.size, 1);
	WANT_EQ(g->now.regs.rip, GUEST_STUBS + 4 * vector + 2);
}

uint64_t
guest_rax(const struct guest *g)
{
	return (g->now.regs.gpr[VMM_RAX]);
}

int
event_open(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	WANT(fd != -1);
	return (fd);
}

void
event_signal(int fd)
{
	const uint64_t one = 1;

	WANT(write(fd, &one, sizeof(one)) == sizeof(one));
}

uint64_t
event_count(int fd)
{
	uint64_t n;

	if (read(fd, &n, sizeof(n)) == sizeof(n))
		return (n);
	WANT_EQ(errno, EAGAIN);
	return (0);
}
