/* SPDX-License-Identifier: ISC */
/* vmm-ioctl: irq events, eventfds that reach a vCPU. */
#include <sys/ioctl.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ioctl-test.h"

static int
bind_line(const struct guest *g, unsigned line, int fd)
{
	struct vmm_irq_event e = {
		.line = line, .fd = fd,
		.flags = fd == -1 ? VMM_EVENT_REMOVE : 0,
	};

	return (ioctl(g->vcpu, VMM_IRQ_EVENT, &e));
}

GUEST_BLOB16(irq_halted, "1: sti; hlt; jmp 1b");
GUEST_BLOB16(irq_spin, "1: jmp 1b");
GUEST_BLOB16(irq_outs, "1: out %al, $0xfe; jmp 1b");

static void *
raise_later(void *arg)
{
	const int *fd = arg;

	usleep(50000);
	event_signal(*fd);
	return (NULL);
}

/* From HLT, and from the middle of guest mode; nothing else is pending. */
static void
wake(const uint8_t *code, const uint8_t *end, bool halted)
{
	struct guest g;
	pthread_t thread;
	int fd = event_open();

	guest_open(&g);
	guest_real(&g, code, end);
	WANT_ERRNO(bind_line(&g, 63, fd), 0);
	WANT_EQ(pthread_create(&thread, NULL, raise_later, &fd), 0);
	WANT_ERRNO(ioctl(g.vcpu, VMM_RUN, 0), 0);
	WANT_EQ(g.run->reason, VMM_EXIT_NONE);
	pthread_join(thread, NULL);
	WANT_EQ(g.run->irqs, 1ULL << 63);
	WANT_EQ(g.run->halted, halted);
	WANT_EQ(event_count(fd), 0);
}

static void
test_irq_event(void)
{
	wake(irq_halted, irq_halted_end, true);
	wake(irq_spin, irq_spin_end, false);
}

/* One that was there before the run, or before the event was bound. */
static void
test_irq_event_early(void)
{
	struct guest g;
	int i, fd[3];

	guest_open(&g);
	GUEST_REAL(&g, irq_spin);
	for (i = 0; i < 3; i++)
		fd[i] = event_open();
	event_signal(fd[0]);
	for (i = 0; i < 3; i++)
		WANT_ERRNO(bind_line(&g, i, fd[i]), 0);
	event_signal(fd[2]);
	event_signal(fd[2]);
	WANT_ERRNO(ioctl(g.vcpu, VMM_RUN, 0), 0);
	WANT_EQ(g.run->reason, VMM_EXIT_NONE);
	WANT_EQ(g.run->irqs, 1 << 0 | 1 << 2);
	WANT_EQ(g.run->exits, 0);
	event_signal(fd[1]);
	WANT_ERRNO(ioctl(g.vcpu, VMM_RUN, 0), 0);
	WANT_EQ(g.run->irqs, 1 << 1);
	WANT_EQ(g.run->exits, 0);
}

/* A run that fails takes none; one that ends for another reason does. */
static void
test_irq_event_error(void)
{
	struct vmm_state s;
	struct guest g;
	int fd = event_open();

	guest_open(&g);
	GUEST_REAL(&g, irq_outs);
	WANT_ERRNO(bind_line(&g, 5, fd), 0);
	event_signal(fd);
	g.run->event = 1;
	WANT_ERRNO(ioctl(g.vcpu, VMM_RUN, 0), EINVAL);
	g.run->event = 0;
	g.run->intr_window = 1;
	guest_get(&g, &s);
	s.regs.rflags |= 0x200;
	guest_set(&g, &s);
	guest_run(&g, VMM_EXIT_INTR_WINDOW);
	WANT_EQ(g.run->irqs, 1 << 5);
	g.run->intr_window = 0;
	guest_run(&g, VMM_EXIT_IO);
	WANT_EQ(g.run->irqs, 0);
}

static void
test_irq_event_remove(void)
{
	struct guest g;
	int fd = event_open();

	guest_open(&g);
	GUEST_REAL(&g, irq_outs);
	WANT_ERRNO(bind_line(&g, 7, -1), ENOENT);
	WANT_ERRNO(bind_line(&g, 7, fd), 0);
	WANT_ERRNO(bind_line(&g, 7, fd), EEXIST);
	WANT_ERRNO(bind_line(&g, 7, -1), 0);
	WANT_ERRNO(bind_line(&g, 7, -1), ENOENT);
	event_signal(fd);
	guest_run(&g, VMM_EXIT_IO);
	WANT_EQ(g.run->irqs, 0);
	WANT(event_count(fd) != 0);
	/* The driver keeps what the descriptor stood for. */
	WANT_ERRNO(bind_line(&g, 7, fd), 0);
	close(fd);
	guest_run(&g, VMM_EXIT_IO);
	WANT_ERRNO(bind_line(&g, 7, -1), 0);
}

static void
test_irq_event_fields(void)
{
	struct vmm_irq_event e, good = { .line = 0 };
	struct guest g;
	int pipefd[2];

	guest_open(&g);
	GUEST_REAL(&g, irq_outs);
	WANT_ERRNO(pipe(pipefd), 0);
	good.fd = event_open();
	WANT_ERRNO(bind_line(&g, VMM_MAX_IRQ_EVENTS, good.fd), EINVAL);
	WANT_ERRNO(bind_line(&g, UINT32_MAX, good.fd), EINVAL);
	WANT_ERRNO(bind_line(&g, 0, pipefd[1]), EINVAL);
	WANT_ERRNO(bind_line(&g, 0, g.vcpu), EINVAL);
	WANT_ERRNO(bind_line(&g, 0, 1000), EBADF);
	e = good;
	e.fd = -1;
	WANT_ERRNO(ioctl(g.vcpu, VMM_IRQ_EVENT, &e), EBADF);
	e = good;
	e.flags = VMM_EVENT_REMOVE << 1;
	WANT_ERRNO(ioctl(g.vcpu, VMM_IRQ_EVENT, &e), EINVAL);
	e = good;
	e.flags = VMM_EVENT_REMOVE;
	WANT_ERRNO(ioctl(g.vcpu, VMM_IRQ_EVENT, &e), EINVAL);
	e = good;
	e.reserved = 1;
	WANT_ERRNO(ioctl(g.vcpu, VMM_IRQ_EVENT, &e), EINVAL);
	e = good;
	e.reserved2[1] = 1;
	WANT_ERRNO(ioctl(g.vcpu, VMM_IRQ_EVENT, &e), EINVAL);
	WANT_ERRNO(ioctl(g.vcpu, VMM_IRQ_EVENT, NULL), EFAULT);
	WANT_ERRNO(ioctl(g.vm, VMM_IRQ_EVENT, &good), ENOTTY);
	WANT_ERRNO(ioctl(g.vcpu, VMM_IRQ_EVENT, &good), 0);
	WANT_ERRNO(bind_line(&g, VMM_MAX_IRQ_EVENTS - 1, event_open()), 0);
	/* One that is bound, by whatever name, is nobody else's. */
	WANT_ERRNO(bind_line(&g, 1, good.fd), EBUSY);
	WANT_ERRNO(bind_line(&g, 1, dup(good.fd)), EBUSY);
	WANT_ERRNO(bind_line(&g, 0, -1), 0);
	WANT_ERRNO(bind_line(&g, 1, good.fd), 0);
}

#define STORM	500

static int storm_fd[VMM_MAX_IRQ_EVENTS];
static atomic_uint storm_seen;

/* Raises one line after the other, each once the last was seen. */
static void *
storm(void *arg)
{
	unsigned i;

	for (i = 0; i < STORM; i++) {
		while (atomic_load(&storm_seen) != i)
			usleep(10);
		event_signal(storm_fd[i % VMM_MAX_IRQ_EVENTS]);
	}
	return (arg);
}

/* Wherever the vCPU is, between runs, before an entry, in HLT: none is lost. */
static void
run_storm(const uint8_t *code, const uint8_t *end)
{
	struct guest g;
	pthread_t thread;
	unsigned i, line;

	guest_open(&g);
	guest_real(&g, code, end);
	atomic_store(&storm_seen, 0);
	for (i = 0; i < VMM_MAX_IRQ_EVENTS; i++) {
		storm_fd[i] = event_open();
		WANT_ERRNO(bind_line(&g, i, storm_fd[i]), 0);
	}
	WANT_EQ(pthread_create(&thread, NULL, storm, NULL), 0);
	for (i = 0; i < STORM;) {
		WANT_ERRNO(ioctl(g.vcpu, VMM_RUN, 0), 0);
		if (g.run->irqs == 0)
			continue;
		line = i % VMM_MAX_IRQ_EVENTS;
		WANT_EQ(g.run->irqs, 1ULL << line);
		atomic_store(&storm_seen, ++i);
	}
	pthread_join(thread, NULL);
	for (i = 0; i < VMM_MAX_IRQ_EVENTS; i++)
		close(storm_fd[i]);
	close(g.vcpu);
	close(g.vm);
}

static void
test_irq_event_storm(void)
{
	run_storm(irq_halted, irq_halted_end);
	run_storm(irq_spin, irq_spin_end);
	run_storm(irq_outs, irq_outs_end);
}

/* Events come and go while the vCPU runs. */
static void *
rebind(void *arg)
{
	const struct guest *g = arg;
	int i, fd = event_open();

	for (i = 0; i < 200; i++) {
		WANT_ERRNO(bind_line(g, 1, fd), 0);
		event_signal(fd);
		WANT_ERRNO(bind_line(g, 1, -1), 0);
	}
	atomic_store(&storm_seen, 1);
	WANT_ERRNO(bind_line(g, 2, fd), 0);
	event_signal(fd);
	return (NULL);
}

static void
test_irq_event_running(void)
{
	struct guest g;
	pthread_t thread;

	guest_open(&g);
	GUEST_REAL(&g, irq_spin);
	atomic_store(&storm_seen, 0);
	WANT_EQ(pthread_create(&thread, NULL, rebind, &g), 0);
	do {
		WANT_ERRNO(ioctl(g.vcpu, VMM_RUN, 0), 0);
		WANT_EQ(g.run->irqs & ~6ULL, 0);
	} while (!(g.run->irqs & 4));
	pthread_join(thread, NULL);
	WANT_EQ(atomic_load(&storm_seen), 1);
}

const struct test tests_irq[] = {
	{ "irq-event",		test_irq_event },
	{ "irq-event-early",	test_irq_event_early },
	{ "irq-event-error",	test_irq_event_error },
	{ "irq-event-remove",	test_irq_event_remove },
	{ "irq-event-fields",	test_irq_event_fields },
	{ "irq-event-storm",	test_irq_event_storm },
	{ "irq-event-running",	test_irq_event_running },
	{ NULL,			NULL }
};
