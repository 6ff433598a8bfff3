/* SPDX-License-Identifier: ISC */
/* vmm-ioctl: how a vCPU waits in HLT, told by how often its thread sleeps. */
#include <sys/resource.h>

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "devices/lapic.h"
#include "ioctl-apic.h"

#define LIMIT		"/sys/module/vmm/parameters/halt_poll_ns"
#define DEFAULT		"200000\n"
#define TIMER		0x60
#define DIVIDE_BY_1	0xb
#define WAIT_NS		3000000
#define ROUNDS		20

static void
set_limit(const char *ns)
{
	int fd = open(LIMIT, O_WRONLY | O_CLOEXEC);

	WANT(fd != -1);
	WANT(write(fd, ns, strlen(ns)) == (ssize_t)strlen(ns));
	close(fd);
}

/* How often the thread sleeps while the guest halts that often, for 3 ms. */
static long
sleeps(struct guest *g, unsigned rounds)
{
	struct rusage before, after;

	WANT_ERRNO(getrusage(RUSAGE_THREAD, &before), 0);
	while (rounds-- > 0) {
		WANT(apic_wrmsr(g, X2APIC + LAPIC_TMICT, WAIT_NS));
		apic_halt(g);
		guest_vector(g, TIMER);
		WANT(apic_wrmsr(g, X2APIC + LAPIC_EOI, 0));
	}
	WANT_ERRNO(getrusage(RUSAGE_THREAD, &after), 0);
	return (after.ru_nvcsw - before.ru_nvcsw);
}

static void
open_timer(struct guest *g)
{
	apic_open(g);
	WANT(apic_wrmsr(g, X2APIC + LAPIC_TDCR, DIVIDE_BY_1));
	WANT(apic_wrmsr(g, X2APIC + LAPIC_LVT + LAPIC_LVT_TIMER, TIMER));
}

static void
want_limit(const char *want)
{
	char is[32] = "";
	int fd = open(LIMIT, O_RDONLY | O_CLOEXEC);

	WANT(fd != -1);
	WANT(read(fd, is, sizeof(is) - 1) > 0);
	WANT(strcmp(is, want) == 0);
	close(fd);
}

/* It sleeps at once, where it may not poll; where it may, soon no more. */
static void
test_halt_poll(void)
{
	struct guest g;
	long n;

	want_limit(DEFAULT);
	open_timer(&g);
	set_limit("0");
	n = sleeps(&g, ROUNDS);
	if (n < ROUNDS / 2)
		fail("%ld sleeps of %d without polling", n, ROUNDS);
	/* Far above the wait, since a slow machine's are longer. */
	set_limit("1000000000");
	sleeps(&g, ROUNDS);
	n = sleeps(&g, ROUNDS);
	if (n > ROUNDS / 4)
		fail("%ld sleeps of %d with polling", n, ROUNDS);
	/* A wait that is too long for it: none any more. */
	set_limit("1000000");
	n = sleeps(&g, ROUNDS);
	if (n < ROUNDS / 2)
		fail("%ld sleeps of %d beyond the limit", n, ROUNDS);
	set_limit(DEFAULT);
}

/* Somebody else wants the processor: they get it. */
static void
test_halt_compete(void)
{
	struct guest g;
	long n;

	set_limit("1000000000");
	open_timer(&g);
	compete();
	sleeps(&g, ROUNDS);
	n = sleeps(&g, ROUNDS);
	set_limit(DEFAULT);
	if (n < ROUNDS / 2)
		fail("%ld sleeps of %d", n, ROUNDS);
}

const struct test tests_halt[] = {
	{ "halt-poll",		test_halt_poll },
	{ "halt-compete",	test_halt_compete },
	{ NULL,			NULL }
};
