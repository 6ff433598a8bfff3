/* SPDX-License-Identifier: ISC */
/*
 * Values of cpu-affinity, and pthreads pinned by them.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/loop.h"
#include "base/thread.h"
#include "testhost.h"
#include "vmm/affinity.h"

static struct affinity	a;
static char		why[160];
static struct buf	text;

static void
setup(void)
{
	memset(&a, 0, sizeof(a));
	buf_init(&text, 4096);
}

static void
teardown(void)
{
	buf_free(&text);
}

static const char *
printed(void)
{
	buf_free(&text);
	buf_init(&text, 4096);
	ck_assert_int_eq(affinity_print(&a, &text), 0);
	ck_assert_int_eq(buf_append(&text, "", 1), 0);
	return buf_head(&text);
}

static const char *
printed_vcpu(unsigned vcpu)
{
	buf_free(&text);
	buf_init(&text, 4096);
	ck_assert_int_eq(affinity_print_vcpu(&a, vcpu, &text), 0);
	ck_assert_int_eq(buf_append(&text, "", 1), 0);
	return buf_head(&text);
}

static int
add(const char *value)
{
	return affinity_add(&a, value, why, sizeof(why));
}

START_TEST(values)
{
	ck_assert_str_eq(printed(), "-");
	ck_assert_int_eq(affinity_last_vcpu(&a), -1);
	ck_assert_int_eq(add("0:0"), 0);
	ck_assert_int_eq(add("all:0-0"), 0);
	ck_assert_int_eq(affinity_last_vcpu(&a), 0);
	ck_assert_int_eq(add("2-63:0,0"), 0);
	ck_assert_str_eq(printed(), "0:0, all:0, 2-63:0,0");
	ck_assert_int_eq(affinity_last_vcpu(&a), 63);
}
END_TEST

static const char *const wrong[] = {
	"", ":", "0", "0:", ":0", "0:0,", "0:,0", "0:-", "0:0-", "0-:0",
	"1-0:0", "0:1-0", "a:0", "0:a", "all", "all:", "all0:0", "0:0 ", " 0:0",
	"-1:0", "0:-1", "0:0;1:0", "0:0:0",
};

START_TEST(no_values)
{
	ck_assert_int_eq(add(wrong[_i]), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, "is no affinity, write VCPU:CPUS"));
}
END_TEST

/* The last that there is, and one past it. */
START_TEST(edges)
{
	char value[64];

	ck_assert_int_eq(add("63:0"), 0);
	ck_assert_int_eq(add("64:0"), -ERANGE);
	ck_assert_int_eq(add("0-64:0"), -ERANGE);
	snprintf(value, sizeof(value), "0:%u", thread_cpus() - 1);
	ck_assert_int_eq(add(value), 0);
	snprintf(value, sizeof(value), "0:0-%u", thread_cpus());
	ck_assert_int_eq(add(value), -ERANGE);
	ck_assert_ptr_nonnull(strstr(why, "this host has no CPU"));
	ck_assert_int_eq(add("0:18446744073709551616"), -ERANGE);
	ck_assert_int_eq(add("0:65536"), -ERANGE);
}
END_TEST

START_TEST(full)
{
	unsigned i;

	for (i = 0; i < AFFINITY_MAX; i++)
		ck_assert_int_eq(add("0:0"), 0);
	ck_assert_int_eq(add("0:0"), -ENOSPC);
	ck_assert_uint_eq(a.n, AFFINITY_MAX);
}
END_TEST

START_TEST(equal)
{
	struct affinity b = { 0 };

	ck_assert(affinity_equal(&a, &b));
	add("1:0");
	ck_assert(!affinity_equal(&a, &b));
	affinity_add(&b, "1:0", why, sizeof(why));
	ck_assert(affinity_equal(&a, &b));
	add("all:0");
	affinity_add(&b, "2:0", why, sizeof(why));
	ck_assert(!affinity_equal(&a, &b));
}
END_TEST

/* A row of its own takes a vCPU out of what is for all. */
START_TEST(own_before_all)
{
	add("all:0");
	ck_assert_str_eq(printed_vcpu(1), "0");
	a.row[a.n++] = (struct affinity_row){ 1, 2, 7, 7 };
	a.row[a.n++] = (struct affinity_row){ 2, 2, 9, 11 };
	ck_assert_str_eq(printed_vcpu(0), "0");
	ck_assert_str_eq(printed_vcpu(1), "7");
	ck_assert_str_eq(printed_vcpu(2), "7,9-11");
	ck_assert_str_eq(printed_vcpu(63), "0");
	a.row[0] = (struct affinity_row){ 5, 5, 0, 0 };
	ck_assert_str_eq(printed_vcpu(0), "-");
}
END_TEST

static unsigned
cpus_of(pthread_t t, cpu_set_t *set)
{
	ck_assert_int_eq(pthread_getaffinity_np(t, sizeof(*set), set), 0);
	return (unsigned)CPU_COUNT(set);
}

/* Where a thread is pinned to it runs, and to nowhere else; and back again. */
START_TEST(pinned)
{
	cpu_set_t all, now;
	char value[32];
	unsigned cpu, before = cpus_of(pthread_self(), &all);

	for (cpu = 0; !CPU_ISSET(cpu, &all); )
		cpu++;
	ck_assert_int_eq(affinity_apply(&a, 0, pthread_self(), false), 0);
	ck_assert_uint_eq(cpus_of(pthread_self(), &now), before);
	snprintf(value, sizeof(value), "1:%u", cpu);
	ck_assert_int_eq(add(value), 0);
	ck_assert_int_eq(affinity_apply(&a, 1, pthread_self(), false), 0);
	ck_assert_uint_eq(cpus_of(pthread_self(), &now), 1);
	ck_assert(CPU_ISSET(cpu, &now));
	ck_assert_int_eq(sched_getcpu(), (int)cpu);
	/* Not vCPU 0's business. */
	ck_assert_int_eq(affinity_apply(&a, 0, pthread_self(), false), 0);
	ck_assert_uint_eq(cpus_of(pthread_self(), &now), 1);
}
END_TEST

static void *
waits(void *fd)
{
	char c;

	return read(*(int *)fd, &c, 1) == 1 ? fd : NULL;
}

/* Does the kernel know an area of this thread's?  To take it away tells. */
static void *
forgets_rseq(void *arg)
{
	char *area = (char *)__builtin_thread_pointer() + __rseq_offset;

	return syscall(SYS_rseq, area, sizeof(struct rseq),
	    RSEQ_FLAG_UNREGISTER, RSEQ_SIG) == -1 ? NULL : arg;
}

static void *
has_rseq(void *arg)
{
	pthread_t t;
	void *had;

	if (pthread_create(&t, NULL, forgets_rseq, arg) != 0 ||
	    pthread_join(t, &had) != 0)
		return NULL;
	return had;
}

static void *
forgoes_rseq(void *arg)
{
	thread_forgo_rseq();
	ck_assert_int_ge(sched_getcpu(), 0);
	ck_assert_ptr_null(forgets_rseq(arg));
	return has_rseq(arg);
}

/* Neither the thread that forgoes them nor one that it creates. */
START_TEST(without_rseq)
{
	pthread_t t;
	void *had;

	ck_assert_ptr_nonnull(has_rseq(&a));
	ck_assert_int_eq(pthread_create(&t, NULL, forgoes_rseq, &a), 0);
	ck_assert_int_eq(pthread_join(t, &had), 0);
	ck_assert_ptr_null(had);
}
END_TEST

/* A thread goes back to what its maker may use. */
START_TEST(unpinned)
{
	cpu_set_t set;
	pthread_t t;
	int fds[2];
	unsigned all = cpus_of(pthread_self(), &set), cpu = 0;
	char value[32];

	while (!CPU_ISSET(cpu, &set))
		cpu++;
	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(pthread_create(&t, NULL, waits, &fds[0]), 0);
	snprintf(value, sizeof(value), "all:%u", cpu);
	ck_assert_int_eq(add(value), 0);
	ck_assert_int_eq(affinity_apply(&a, 3, t, true), 0);
	ck_assert_uint_eq(cpus_of(t, &set), 1);
	a.n = 0;
	ck_assert_int_eq(affinity_apply(&a, 3, t, true), 0);
	ck_assert_uint_eq(cpus_of(t, &set), all);
	ck_assert_int_eq(write(fds[1], "", 1), 1);
	pthread_join(t, NULL);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

/* Two threads on one CPU wait for each other. */
static void *
counts(void *stop)
{
	while (!__atomic_load_n((bool *)stop, __ATOMIC_RELAXED))
		;
	return NULL;
}

START_TEST(waited)
{
	uint64_t before, now, end;
	bool stop = false;
	cpu_set_t set;
	pthread_t t;
	unsigned cpu = 0;
	char value[32];
	int account = thread_account();

	cpus_of(pthread_self(), &set);
	while (!CPU_ISSET(cpu, &set))
		cpu++;
	snprintf(value, sizeof(value), "all:%u", cpu);
	ck_assert_int_eq(add(value), 0);
	ck_assert_int_eq(affinity_apply(&a, 0, pthread_self(), false), 0);
	ck_assert_int_ge(account, 0);
	ck_assert_int_eq(thread_waited(account, &before), 0);
	ck_assert_int_eq(pthread_create(&t, NULL, counts, &stop), 0);
	end = loop_now_ns() + 300000000;
	while (loop_now_ns() < end)
		;
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(t, NULL);
	ck_assert_int_eq(thread_waited(account, &now), 0);
	ck_assert_uint_gt(now, before + 50000000);
	close(account);
	ck_assert_int_eq(thread_waited(account, &now), -EBADF);
	ck_assert_uint_eq(now, 0);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("affinity");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, values);
	tcase_add_loop_test(tc, no_values, 0,
	    (int)(sizeof(wrong) / sizeof(wrong[0])));
	tcase_add_test(tc, edges);
	tcase_add_test(tc, full);
	tcase_add_test(tc, equal);
	tcase_add_test(tc, own_before_all);
	tcase_add_test(tc, pinned);
	tcase_add_test(tc, unpinned);
	tcase_add_test(tc, without_rseq);
	tcase_add_test(tc, waited);
	return test_main("affinity", tc);
}
