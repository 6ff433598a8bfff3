/* SPDX-License-Identifier: ISC */
/* vmm-ioctl: several vCPUs of one VM. */
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "ioctl-test.h"

#define VCPUS		4
#define PAGE		4096ULL
#define SHARED		0x100000	/* pages that all of them write to */
#define PAGES		512ULL

extern const uint8_t smp_done[];

/* RBX times: RCX pages from RSI on, each added to by RDX. */
GUEST_BLOB64(smp_add,
	"1: mov %rsi, %rdi\n"
	"mov %rcx, %rbp\n"
	"2: lock addq %rdx, (%rdi)\n"
	"add $0x1000, %rdi\n"
	"dec %rbp\n"
	"jnz 2b\n"
	"dec %rbx\n"
	"jnz 1b\n"
	"mov $0x100, %dx\n"
	"smp_done: out %al, %dx\n"
	"hlt\n");

static void *
run_out(void *arg)
{
	guest_out(arg, 0x100);
	return (NULL);
}

static void
set_work(struct guest *g, uint64_t rounds, uint64_t add)
{
	struct vmm_state s;

	guest_get(g, &s);
	s.regs.rip = GUEST_CODE;
	s.regs.gpr[VMM_RSI] = SHARED;
	s.regs.gpr[VMM_RCX] = PAGES;
	s.regs.gpr[VMM_RBX] = rounds;
	s.regs.gpr[VMM_RDX] = add;
	guest_set(g, &s);
}

static uint64_t *
open_all(struct guest *g)
{
	uint64_t *shared;
	unsigned i;

	guest_open(&g[0]);
	shared = guest_memory(&g[0], SHARED, PAGES * PAGE);
	GUEST_LONG(&g[0], smp_add);
	for (i = 1; i < VCPUS; i++) {
		guest_vcpu(&g[0], i, &g[i]);
		guest_start(&g[0], GUEST_CODE, &g[i]);
	}
	return (shared);
}

static void
start_all(struct guest *g, pthread_t *thread, uint64_t rounds, uint64_t add)
{
	unsigned i;

	for (i = 0; i < VCPUS; i++) {
		set_work(&g[i], rounds, add << 8 * i);
		WANT_EQ(pthread_create(&thread[i], NULL, run_out, &g[i]), 0);
	}
}

static void
join_all(pthread_t *thread)
{
	unsigned i;

	for (i = 0; i < VCPUS; i++)
		pthread_join(thread[i], NULL);
}

/* All touch the same memory first, and each page comes once. */
static void
test_smp_memory(void)
{
	struct guest g[VCPUS];
	pthread_t thread[VCPUS];
	uint64_t *shared, i;
	long before;

	shared = open_all(g);
	madvise(shared, PAGES * PAGE, MADV_NOHUGEPAGE);
	before = counter("pinned_pages");
	start_all(g, thread, 3, 1);
	join_all(thread);
	for (i = 0; i < PAGES; i++)
		WANT_EQ(shared[i * PAGE / 8], 0x03030303);
	WANT(counter("pinned_pages") >= before + (long)PAGES);
	WANT(counter("pinned_pages") <=
	    (long)(PAGES + GUEST_SIZE / PAGE));
}

/* Pages go away under all of them; what each wrote before is not asked. */
static void
test_smp_discard(void)
{
	struct vmm_discard d = { .gpa = SHARED, .size = PAGES * PAGE };
	struct guest g[VCPUS];
	pthread_t thread[VCPUS];
	unsigned i;

	open_all(g);
	start_all(g, thread, 200, 1);
	for (i = 0; i < 50; i++) {
		d.gpa = SHARED + i * PAGE;
		d.size = PAGE << i % 4;
		WANT_ERRNO(ioctl(g[0].vm, VMM_MEM_DISCARD, &d), 0);
		usleep(500);
	}
	join_all(thread);
	d.gpa = SHARED;
	d.size = PAGES * PAGE;
	WANT_ERRNO(ioctl(g[0].vm, VMM_MEM_DISCARD, &d), 0);
	WANT(counter("pinned_pages") <= (long)(GUEST_SIZE / PAGE));
}

/*
 * What is copied whenever the log says so is what all of them wrote, once
 * they have ended.
 */
static void
test_smp_dirty(void)
{
	static uint64_t copy[PAGES], bits[PAGES / 64];
	struct vmm_dirty d = {
		.gpa = SHARED, .size = PAGES * PAGE, .bitmap = (uintptr_t)bits,
	};
	struct guest g[VCPUS];
	pthread_t thread[VCPUS];
	uint64_t *shared, i;
	unsigned turn;

	shared = open_all(g);
	WANT_ERRNO(ioctl(g[0].vm, VMM_DIRTY_LOG, 1), 0);
	start_all(g, thread, 200, 1);
	for (turn = 0; turn < 20; turn++) {
		if (turn == 19)
			join_all(thread);
		WANT_ERRNO(ioctl(g[0].vm, VMM_GET_DIRTY, &d), 0);
		for (i = 0; i < PAGES; i++)
			if (bits[i / 64] >> i % 64 & 1)
				copy[i] = shared[i * PAGE / 8];
		usleep(1000);
	}
	for (i = 0; i < PAGES; i++)
		WANT_EQ(copy[i], shared[i * PAGE / 8]);
	WANT_EQ(copy[0], 0xc8c8c8c8);
}

extern const uint8_t id_1[], id_b[], id_1e[];

GUEST_BLOB64(code_id,
	"mov $0x100, %esi\n"
	"id_1: mov $1, %eax\n cpuid\n mov %ebx, %eax\n"
	"mov %esi, %edx\n out %eax, %dx\n"
	"mov $0xb, %eax\n mov $1, %ecx\n cpuid\n mov %edx, %eax\n"
	"mov %esi, %edx\n out %eax, %dx\n"
	"mov $0x8000001e, %eax\n xor %ecx, %ecx\n cpuid\n"
	"shl $16, %eax\n or %ebx, %eax\n"
	"mov %esi, %edx\n out %eax, %dx\n");

/* Each has its own APIC id where it has a row, and all else alike. */
static void
test_smp_cpuid(void)
{
	static const struct vmm_cpuid_entry rows[] = {
		{ .leaf = 1, .ebx = 0x77400800 },
		{ .leaf = 0xb, .subleaf = 1, .flags = VMM_CPUID_SUBLEAF,
		    .edx = 0x77 },
		{ .leaf = 0x8000001e, .eax = 0x77, .ebx = 0x177 },
	};
	static const unsigned ids[] = { 0, 1, 63 };
	struct vmm_cpuid c = { .count = 3 };
	struct guest g[3];
	unsigned i;

	guest_open(&g[0]);
	memcpy(c.entry, rows, sizeof(rows));
	WANT_ERRNO(ioctl(g[0].vm, VMM_SET_CPUID, &c), 0);
	GUEST_LONG(&g[0], code_id);
	for (i = 1; i < 3; i++) {
		guest_vcpu(&g[0], ids[i], &g[i]);
		guest_start(&g[0], GUEST_CODE, &g[i]);
	}
	for (i = 0; i < 3; i++) {
		WANT_EQ(guest_out(&g[i], 0x100), 0x400800 | ids[i] << 24);
		WANT_EQ(guest_out(&g[i], 0x100), ids[i]);
		WANT_EQ(guest_out(&g[i], 0x100),
		    ids[i] << 16 | 0x100 | ids[i]);
	}
}

/* All but vCPU 0 wait, which is told once, and no interrupt ends it. */
static void
test_smp_waits(void)
{
	struct guest g[2];
	struct vmm_state s;

	guest_open(&g[0]);
	GUEST_LONG(&g[0], smp_add);
	guest_vcpu(&g[0], 5, &g[1]);
	guest_get(&g[1], &s);
	WANT_EQ(s.halted, VMM_HALTED_SIPI);
	guest_run(&g[1], VMM_EXIT_HLT);
	WANT_EQ(g[1].run->halted, VMM_HALTED_SIPI);
	WANT_EQ(g[1].now.stuck, 1);
	signal_after(10000);
	guest_run(&g[1], VMM_EXIT_NONE);
	WANT_EQ(g[1].now.stuck, 1);
	s.regs.rflags |= 0x200;
	guest_set(&g[1], &s);
	guest_run(&g[1], VMM_EXIT_HLT);
	g[1].run->inject = 1;
	WANT_ERRNO(ioctl(g[1].vcpu, VMM_RUN, 0), EAGAIN);
	g[1].run->inject = 0;
	g[1].run->event = VMM_EVENT_VALID | VMM_EVENT_NMI | 2;
	signal_after(10000);
	guest_run(&g[1], VMM_EXIT_NONE);
	WANT_EQ(g[1].run->halted, VMM_HALTED_SIPI);
	WANT_EQ(g[1].run->exits, 0);
}

/* One goes while the others run, and then the VM's own descriptor. */
static void
test_smp_close(void)
{
	struct guest g[VCPUS];
	pthread_t thread[VCPUS];
	unsigned i;

	open_all(g);
	start_all(g, thread, 100, 1);
	pthread_join(thread[1], NULL);
	close(g[1].vcpu);
	munmap(g[1].run, PAGE);
	close(g[0].vm);
	WANT_EQ(counter("vcpus"), VCPUS - 1);
	WANT_EQ(counter("vms"), 1);
	for (i = 0; i < VCPUS; i++)
		if (i != 1)
			pthread_join(thread[i], NULL);
}

const struct test tests_smp[] = {
	{ "smp-memory",		test_smp_memory },
	{ "smp-discard",	test_smp_discard },
	{ "smp-dirty",		test_smp_dirty },
	{ "smp-cpuid",		test_smp_cpuid },
	{ "smp-waits",		test_smp_waits },
	{ "smp-close",		test_smp_close },
	{ NULL,			NULL }
};
