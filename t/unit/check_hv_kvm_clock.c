/* SPDX-License-Identifier: ISC */
/*
 * KVM backend: the guests' clock.  KVM is played, whose TSC is the host's less
 * a constant; the pages are looked at as a guest does.
 */
#include <sys/ioctl.h>

#include <asm/kvm_para.h>
#include <linux/kvm.h>

#include <errno.h>
#include <stdarg.h>
#include <unistd.h>
#include <x86intrin.h>

#include "base/log.h"
#include "devices/gmem.h"
#include "testhost.h"
#include "vmm/hv_kvm.h"

#define VM	100
#define VCPU	200			/* that of vCPU 0 */

#define TSC		0x10
#define TSC_ADJUST	0x3b
#define TSC_BEGAN	UINT64_C(123456789)	/* the host's */

#define STABLE	1
#define STOPPED	2

static struct kvm {
	uint32_t	flags;		/* of its clock */
	uint64_t	set_clock;
	unsigned	clocks_set;
	unsigned	msrs_set;
	int		vcpu;		/* the last that was written for */
	uint32_t	index;
	uint64_t	val;
	bool		denied[2][2];	/* TSC and TSC_ADJUST: read, written */
} kvm;

static struct gmem gm;
static struct hv_kvm_clock *clk;
static uint64_t ram[1024];

int __wrap_ioctl(int fd, unsigned long request, ...);

static int
set_filter(const struct kvm_msr_filter *f)
{
	static const uint32_t msr[] = { TSC, TSC_ADJUST };
	unsigned i, k;

	ck_assert_uint_eq(f->flags, KVM_MSR_FILTER_DEFAULT_ALLOW);
	for (i = 0; i < KVM_MSR_FILTER_MAX_RANGES; i++) {
		for (k = 0; k < 2; k++) {
			if (f->ranges[i].nmsrs == 0 ||
			    msr[k] - f->ranges[i].base >= f->ranges[i].nmsrs)
				continue;
			kvm.denied[k][0] = f->ranges[i].flags &
			    KVM_MSR_FILTER_READ;
			kvm.denied[k][1] = f->ranges[i].flags &
			    KVM_MSR_FILTER_WRITE;
		}
	}
	return 0;
}

static int
msrs(int fd, unsigned long request, struct kvm_msrs *m)
{
	ck_assert_uint_eq(m->nmsrs, 1);
	ck_assert_int_ge(fd, VCPU);
	if (request == KVM_GET_MSRS) {
		ck_assert_uint_eq(m->entries[0].index, TSC);
		m->entries[0].data = __rdtsc() - TSC_BEGAN;
		return 1;
	}
	kvm.msrs_set++;
	kvm.vcpu = fd;
	kvm.index = m->entries[0].index;
	kvm.val = m->entries[0].data;
	return 1;
}

int
__wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	switch (request) {
	case KVM_X86_SET_MSR_FILTER:
		return set_filter(arg);
	case KVM_GET_TSC_KHZ:
		return 2000000;
	case KVM_GET_CLOCK:
		((struct kvm_clock_data *)arg)->flags = kvm.flags;
		return 0;
	case KVM_SET_CLOCK:
		ck_assert_int_eq(fd, VM);
		kvm.set_clock = ((struct kvm_clock_data *)arg)->clock;
		kvm.clocks_set++;
		return 0;
	case KVM_GET_MSRS:
	case KVM_SET_MSRS:
		return msrs(fd, request, arg);
	}
	ck_abort_msg("ioctl %#lx", request);
}

static void
setup(void)
{
	kvm = (struct kvm){ .flags = KVM_CLOCK_TSC_STABLE };
	memset(ram, 0xee, sizeof(ram));
	gm.nranges = 1;
	gm.range[0] = (struct gmem_range){ 0, sizeof(ram), ram };
	ck_assert_int_eq(hv_kvm_clock_create(&clk, VM, &gm), 0);
}

static void
teardown(void)
{
	hv_kvm_clock_destroy(clk);
}

static int
write_msr(unsigned id, uint32_t index, uint64_t val)
{
	return hv_kvm_clock_write(clk, VCPU + (int)id, id, index, val);
}

static struct pvclock {
	uint32_t	version, pad0;
	uint32_t	tsc[2], ns[2];
	uint32_t	mul;
	int8_t		shift;
	uint8_t		flags, pad1[2];
} page_at(uint64_t gpa)
{
	struct pvclock p;

	memcpy(&p, (char *)ram + gpa, sizeof(p));
	return p;
}

/* A guest reads the TSC, and never moves it. */
START_TEST(tsc_stays)
{
	ck_assert_int_eq(hv_kvm_clock_setup(VM), 0);
	ck_assert(!kvm.denied[0][0]);
	ck_assert(kvm.denied[0][1]);
	ck_assert(kvm.denied[1][0]);
	ck_assert(kvm.denied[1][1]);
	ck_assert(hv_kvm_clock_has(TSC));
	ck_assert(!hv_kvm_clock_has(TSC_ADJUST));
	ck_assert_int_eq(write_msr(0, TSC, 0), -EPERM);
	ck_assert_uint_eq(kvm.msrs_set, 0);
}
END_TEST

/* What was there before is no part of it; a page named again is a new one. */
START_TEST(pages)
{
	struct pvclock p, q;

	ck_assert_int_eq(write_msr(0, MSR_KVM_SYSTEM_TIME_NEW, 65), 0);
	p = page_at(64);
	ck_assert_uint_eq(p.version & 1, 0);
	ck_assert_uint_eq(p.flags, STABLE);
	ck_assert_uint_eq(p.pad0 | p.pad1[0] | p.pad1[1], 0);
	hv_kvm_clock_resumed(clk, VCPU, 0);
	ck_assert_uint_eq(page_at(64).flags, STABLE | STOPPED);
	ck_assert_int_eq(write_msr(1, MSR_KVM_SYSTEM_TIME, 65), 0);
	q = page_at(64);
	ck_assert_uint_eq(q.version & 1, 0);
	ck_assert_uint_ne(q.version, p.version);
	ck_assert_uint_eq(q.flags, STABLE);
	ck_assert_uint_eq(hv_kvm_clock_read(clk, 1, MSR_KVM_SYSTEM_TIME), 65);
	ck_assert_int_eq(write_msr(0, MSR_KVM_SYSTEM_TIME, 67), -EPERM);
	ck_assert_int_eq(write_msr(0, MSR_KVM_SYSTEM_TIME, 4069), -EPERM);
	ck_assert_int_eq(write_msr(0, MSR_KVM_SYSTEM_TIME, 8193), -EPERM);
	ck_assert_uint_eq(hv_kvm_clock_read(clk, 0, MSR_KVM_SYSTEM_TIME), 65);
	ck_assert_uint_eq(kvm.msrs_set, 0);
}
END_TEST

/* A tick after a while turns all, and asks for nothing. */
START_TEST(turns)
{
	struct pvclock p;

	ck_assert_int_eq(write_msr(0, MSR_KVM_SYSTEM_TIME_NEW, 1), 0);
	ck_assert_int_eq(write_msr(1, MSR_KVM_SYSTEM_TIME_NEW, 33), 0);
	p = page_at(0);
	usleep(200000);
	ck_assert(!hv_kvm_clock_tick(clk));
	ck_assert_uint_ne(page_at(0).version, p.version);
	ck_assert_uint_eq(page_at(0).version & 1, 0);
	ck_assert_mem_ne(page_at(0).tsc, p.tsc, 8);
	ck_assert_mem_eq((char *)ram, (char *)ram + 32, 32);
}
END_TEST

/* The host leaves its TSC: each vCPU's thread gives its page away, once. */
START_TEST(handed_back)
{
	struct pvclock p;
	uint64_t ns;

	ck_assert_int_eq(write_msr(0, MSR_KVM_SYSTEM_TIME_NEW, 1), 0);
	ck_assert_int_eq(write_msr(2, MSR_KVM_SYSTEM_TIME_NEW, 33), 0);
	hv_kvm_clock_enter(clk, VCPU, 0);
	ck_assert_uint_eq(kvm.msrs_set, 0);
	kvm.flags = 0;
	p = page_at(0);
	memcpy(&ns, p.ns, sizeof(ns));
	ck_assert(hv_kvm_clock_tick(clk));
	ck_assert_uint_eq(kvm.clocks_set, 1);
	ck_assert_uint_gt(kvm.set_clock, ns);
	ck_assert_uint_lt(kvm.set_clock, ns + UINT64_C(10000000000));
	ck_assert_mem_eq(ram, &p, sizeof(p));
	hv_kvm_clock_enter(clk, VCPU + 1, 1);
	ck_assert_uint_eq(kvm.msrs_set, 0);
	hv_kvm_clock_enter(clk, VCPU + 2, 2);
	ck_assert_int_eq(kvm.vcpu, VCPU + 2);
	ck_assert_uint_eq(kvm.index, MSR_KVM_SYSTEM_TIME_NEW);
	ck_assert_uint_eq(kvm.val, 33);
	hv_kvm_clock_enter(clk, VCPU + 2, 2);
	hv_kvm_clock_enter(clk, VCPU, 0);
	ck_assert_uint_eq(kvm.val, 1);
	ck_assert_uint_eq(kvm.msrs_set, 2);
	/* For good. */
	kvm.flags = KVM_CLOCK_TSC_STABLE;
	ck_assert(!hv_kvm_clock_tick(clk));
	ck_assert_int_eq(write_msr(1, MSR_KVM_SYSTEM_TIME, 129), 0);
	ck_assert_uint_eq(kvm.index, MSR_KVM_SYSTEM_TIME);
	ck_assert_uint_eq(hv_kvm_clock_read(clk, 1, MSR_KVM_SYSTEM_TIME), 129);
	ck_assert_uint_eq(page_at(128).version, 0xeeeeeeee);
}
END_TEST

/* Nor does it begin without a TSC; the log says so once for all guests. */
START_TEST(kvm_keeps)
{
	char got[400];
	int fds[2];
	ssize_t n;

	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
	log_open("prog", false);
	kvm.flags = 0;
	ck_assert_int_eq(write_msr(0, MSR_KVM_WALL_CLOCK, 64), 0);
	ck_assert_uint_eq(kvm.index, MSR_KVM_WALL_CLOCK);
	ck_assert_uint_eq(hv_kvm_clock_read(clk, 0, MSR_KVM_WALL_CLOCK), 64);
	teardown();
	setup();
	kvm.flags = 0;
	ck_assert_int_eq(write_msr(0, MSR_KVM_SYSTEM_TIME, 65), 0);
	ck_assert(!hv_kvm_clock_tick(clk));
	ck_assert_uint_eq(kvm.clocks_set, 0);
	n = read(fds[0], got, sizeof(got) - 1);
	ck_assert_int_gt(n, 0);
	got[n] = '\0';
	ck_assert_str_eq(got, "prog: backend kvm: the host's clock is not the "
	    "TSC: KVM keeps guests' clocks, which do not follow NTP\n");
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("hv_kvm_clock");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, tsc_stays);
	tcase_add_test(tc, pages);
	tcase_add_test(tc, turns);
	tcase_add_test(tc, handed_back);
	tcase_add_test(tc, kvm_keeps);
	return test_main("hv_kvm_clock", tc);
}
