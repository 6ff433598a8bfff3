/* SPDX-License-Identifier: ISC */
/*
 * vmm-ioctl: vCPUs that wait in HLT without interrupts for another to kick
 * them, as Linux's paravirtual spinlocks do.
 */
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "ioctl-test.h"

#define ID		3	/* of the second vCPU */
#define KICK		5
#define ENOSYS_KVM	1000
#define FEATURES	0x40000001
#define PV_UNHALT	(1U << 7)
#define PORT_SENT	0x100
#define PORT_AWAKE	0x101
#define USER		3	/* privilege level, in selectors */
#define AR_USER		0x60
#define PTE_USER	4
#define IOPL_USER	0x3000
#define ROUNDS		100

extern const uint8_t kick_send[], kick_wait[];

GUEST_BLOB64(kick_code,
	"kick_send: vmmcall; mov $0x100, %edx; out %eax, %dx\n"
	"kick_wait: cli; hlt; mov $0x101, %edx; out %eax, %dx\n");

static void
go_to(struct guest *g, const uint8_t *where)
{
	struct vmm_state s;

	guest_get(g, &s);
	s.regs.rip = GUEST_ADDR(kick_code, where);
	s.halted = VMM_HALTED_NO;
	guest_set(g, &s);
}

/* What the hypercall returns. */
static int
kick(struct guest *g, uint64_t nr, uint64_t id)
{
	struct vmm_state s;

	go_to(g, kick_send);
	guest_get(g, &s);
	s.regs.gpr[VMM_RAX] = nr;
	s.regs.gpr[VMM_RBX] = 0;
	s.regs.gpr[VMM_RCX] = id;
	guest_set(g, &s);
	return ((int)guest_out(g, PORT_SENT));
}

static void
open_rest(struct guest *g)
{
	GUEST_LONG(&g[0], kick_code);
	guest_vcpu(&g[0], ID, &g[1]);
	guest_start(&g[0], GUEST_CODE, &g[1]);
}

static void
open_two(struct guest *g)
{
	guest_open(&g[0]);
	open_rest(g);
}

static void *
wait_thread(void *arg)
{
	guest_out(arg, PORT_AWAKE);
	return (NULL);
}

/* Of one that halts, and of one that is about to: once. */
static void
test_kick(void)
{
	struct guest g[2];
	pthread_t thread;
	uint64_t exits;
	unsigned i;

	open_two(g);
	for (i = 0; i < 3; i++) {
		go_to(&g[1], kick_wait);
		WANT_EQ(kick(&g[0], KICK, ID), 0);
		WANT_EQ(kick(&g[0], KICK, ID), 0);
		guest_out(&g[1], PORT_AWAKE);
		WANT_EQ(g[1].now.kicked, 0);
		go_to(&g[1], kick_wait);
		signal_after(20000);
		guest_run(&g[1], VMM_EXIT_NONE);
		WANT_EQ(g[1].run->halted, VMM_HALTED_HLT);
		exits = g[1].run->exits;
		WANT_EQ(pthread_create(&thread, NULL, wait_thread, &g[1]), 0);
		usleep(10000);
		/* To others, and to nobody. */
		WANT_EQ(kick(&g[0], KICK, 0), 0);
		WANT_EQ(kick(&g[0], KICK, 1), 0);
		WANT_EQ(kick(&g[0], KICK, 0xffffffff), 0);
		usleep(10000);
		WANT_EQ(g[1].run->exits, exits);
		WANT_EQ(kick(&g[0], KICK, ID), 0);
		pthread_join(thread, NULL);
	}
}

/* It is part of the state. */
static void
test_kick_state(void)
{
	struct guest g[2];
	struct vmm_apic a;
	struct vmm_state s;

	open_two(g);
	go_to(&g[1], kick_wait);
	WANT_EQ(kick(&g[0], KICK, ID), 0);
	WANT_ERRNO(ioctl(g[1].vcpu, VMM_GET_APIC, &a), 0);
	guest_get(&g[1], &s);
	WANT_EQ(s.kicked, 1);
	s.kicked = 0;
	guest_set(&g[1], &s);
	signal_after(20000);
	guest_run(&g[1], VMM_EXIT_NONE);
	WANT_EQ(g[1].run->halted, VMM_HALTED_HLT);
	s.kicked = 1;
	guest_set(&g[1], &s);
	guest_out(&g[1], PORT_AWAKE);
}

/* The last of them is told of, since nobody can kick it. */
static void
test_kick_last(void)
{
	struct guest g[2];
	pthread_t thread;

	open_two(g);
	go_to(&g[1], kick_wait);
	WANT_EQ(pthread_create(&thread, NULL, wait_thread, &g[1]), 0);
	usleep(20000);
	go_to(&g[0], kick_wait);
	guest_run(&g[0], VMM_EXIT_HLT);
	WANT_EQ(g[0].now.stuck, 1);
	WANT_EQ(kick(&g[0], KICK, ID), 0);
	pthread_join(thread, NULL);
	/* One that is gone kicks nobody. */
	close(g[0].vcpu);
	munmap(g[0].run, 4096);
	go_to(&g[1], kick_wait);
	guest_run(&g[1], VMM_EXIT_HLT);
}

struct racer {
	struct guest	*g, *other;
	pthread_t	 thread, *rival;
};

static atomic_uint told;

/* Runs until one of them is told of, which ends the other's run. */
static void
race(struct racer *r)
{
	while (told == 0) {
		WANT_ERRNO(ioctl(r->g->vcpu, VMM_RUN, 0), 0);
		if (r->g->run->reason != VMM_EXIT_HLT)
			continue;
		told++;
		r->other->run->immediate_exit = 1;
		pthread_kill(*r->rival, SIGALRM);
	}
}

static void *
race_thread(void *arg)
{
	race(arg);
	return (NULL);
}

/* Of two at once one is told of, whatever the order: or the test hangs. */
static void
test_kick_race(void)
{
	struct racer r[2];
	struct guest g[2];
	unsigned i;

	open_two(g);
	signal_after(1);
	usleep(10000);
	r[0] = (struct racer){ &g[0], &g[1], pthread_self(), &r[1].thread };
	r[1] = (struct racer){ &g[1], &g[0], pthread_self(), &r[0].thread };
	for (i = 0; i < ROUNDS; i++) {
		told = 0;
		g[0].run->immediate_exit = g[1].run->immediate_exit = 0;
		go_to(&g[0], kick_wait);
		go_to(&g[1], kick_wait);
		WANT_EQ(pthread_create(&r[1].thread, NULL, race_thread,
		    &r[1]), 0);
		race(&r[0]);
		pthread_join(r[1].thread, NULL);
	}
}

/* A guest's user may not. */
static void
test_kick_user(void)
{
	struct guest g[2];
	struct vmm_state s;
	uint64_t *table;
	unsigned i;

	open_two(g);
	table = (uint64_t *)(g[0].ram + GUEST_TABLES);
	table[0] |= PTE_USER;
	table[512] |= PTE_USER;
	table[1024] |= PTE_USER;
	guest_get(&g[0], &s);
	for (i = VMM_ES; i <= VMM_GS; i++) {
		s.regs.seg[i].selector |= USER;
		s.regs.seg[i].ar |= AR_USER;
	}
	s.regs.rflags |= IOPL_USER;
	guest_set(&g[0], &s);
	WANT_EQ(kick(&g[0], KICK, ID), -EPERM);
	WANT_EQ(kick(&g[0], KICK + 1, ID), -ENOSYS_KVM);
	go_to(&g[1], kick_wait);
	signal_after(20000);
	guest_run(&g[1], VMM_EXIT_NONE);
	WANT_EQ(g[1].run->halted, VMM_HALTED_HLT);
}

/* A guest that does not know of it has its halts told of, all of them. */
static void
test_kick_unknown(void)
{
	static struct vmm_cpuid c = { .count = VMM_MAX_CPUID };
	struct guest g[2];
	unsigned i;

	guest_open(&g[0]);
	WANT_ERRNO(ioctl(g[0].dev, VMM_GET_CPUID, &c), 0);
	for (i = 0; i < c.count; i++)
		if (c.entry[i].leaf == FEATURES)
			c.entry[i].eax &= ~PV_UNHALT;
	WANT_ERRNO(ioctl(g[0].vm, VMM_SET_CPUID, &c), 0);
	open_rest(g);
	WANT_EQ(kick(&g[0], KICK, ID), -ENOSYS_KVM);
	go_to(&g[1], kick_wait);
	guest_run(&g[1], VMM_EXIT_HLT);
}

const struct test tests_kick[] = {
	{ "kick",		test_kick },
	{ "kick-state",		test_kick_state },
	{ "kick-last",		test_kick_last },
	{ "kick-race",		test_kick_race },
	{ "kick-user",		test_kick_user },
	{ "kick-unknown",	test_kick_unknown },
	{ NULL,			NULL }
};
