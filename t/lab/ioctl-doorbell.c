/* SPDX-License-Identifier: ISC */
/* vmm-ioctl: doorbells, ports that signal eventfds. */
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "ioctl-test.h"

#define PORT		0x200
#define VECTOR_DB	1

extern const uint8_t rung_step[];

static int
bell(const struct guest *g, unsigned port, unsigned size, int fd)
{
	struct vmm_doorbell d = {
		.port = port, .size = size, .fd = fd,
		.flags = fd == -1 ? VMM_EVENT_REMOVE : 0,
	};

	return (ioctl(g->vm, VMM_DOORBELL, &d));
}

GUEST_BLOB64(code_ring,
	"mov $0x200, %edx\n"
	"mov $0x8877665544332211, %rax\n"
	"out %ax, %dx\n"		/* rings */
	"out %al, %dx\n"
	"out %eax, %dx\n"
	"out %ax, %dx\n"		/* rings */
	"in %dx, %ax\n"
	"outsw\n"
	"inc %dx\n"
	"out %ax, %dx\n");

static void
want_io(struct guest *g, unsigned port, unsigned size, unsigned flags)
{
	guest_run(g, VMM_EXIT_IO);
	WANT_EQ(g->run->io.port, port);
	WANT_EQ(g->run->io.size, size);
	WANT_EQ(g->run->io.flags, flags);
}

/* Only an OUT of that width to that port rings; the rest exits as ever. */
static void
test_doorbell(void)
{
	struct guest g;
	int fd = event_open();

	guest_open(&g);
	GUEST_LONG(&g, code_ring);
	WANT_ERRNO(bell(&g, PORT, 2, fd), 0);
	want_io(&g, PORT, 1, 0);
	WANT_EQ(guest_rax(&g), 0x8877665544332211);
	WANT_EQ(event_count(fd), 1);
	want_io(&g, PORT, 4, 0);
	WANT_EQ(event_count(fd), 0);
	want_io(&g, PORT, 2, VMM_IO_IN);
	WANT_EQ(event_count(fd), 1);
	want_io(&g, PORT, 2, VMM_IO_STRING);
	g.run->regs.rip += 2;
	g.run->set_regs = 1;
	want_io(&g, PORT + 1, 2, 0);
	WANT_EQ(event_count(fd), 0);
}

/* Removed, the port exits again, and another may have it. */
static void
test_doorbell_remove(void)
{
	struct guest g;
	int fd = event_open(), other = event_open();

	guest_open(&g);
	GUEST_LONG(&g, code_ring);
	WANT_ERRNO(bell(&g, PORT, 2, -1), ENOENT);
	WANT_ERRNO(bell(&g, PORT, 2, fd), 0);
	WANT_ERRNO(bell(&g, PORT, 2, fd), EEXIST);
	WANT_ERRNO(bell(&g, PORT, 4, fd), EEXIST);
	WANT_ERRNO(bell(&g, PORT, 1, -1), ENOENT);
	WANT_ERRNO(bell(&g, PORT + 1, 2, -1), ENOENT);
	WANT_ERRNO(bell(&g, PORT, 2, -1), 0);
	WANT_ERRNO(bell(&g, PORT, 2, -1), ENOENT);
	want_io(&g, PORT, 2, 0);
	want_io(&g, PORT, 1, 0);
	want_io(&g, PORT, 4, 0);
	WANT_ERRNO(bell(&g, PORT, 2, other), 0);
	want_io(&g, PORT, 2, VMM_IO_IN);
	WANT_EQ(event_count(fd), 0);
	WANT_EQ(event_count(other), 1);
}

/* The driver keeps what the descriptor stood for; a full one is no matter. */
static void
test_doorbell_closed(void)
{
	const uint64_t full = UINT64_MAX - 1;
	struct guest g;
	int fd = event_open(), copy;

	guest_open(&g);
	GUEST_LONG(&g, code_ring);
	copy = dup(fd);
	WANT_ERRNO(bell(&g, PORT, 2, fd), 0);
	close(fd);
	want_io(&g, PORT, 1, 0);
	WANT_EQ(event_count(copy), 1);
	WANT(write(copy, &full, sizeof(full)) == sizeof(full));
	want_io(&g, PORT, 4, 0);
	want_io(&g, PORT, 2, VMM_IO_IN);
	WANT(event_count(copy) >= full);
	close(copy);
}

static void
test_doorbell_fields(void)
{
	struct vmm_doorbell d, good = { .port = PORT, .size = 2 };
	struct guest g;
	unsigned size;
	int pipefd[2];

	guest_open(&g);
	good.fd = event_open();
	WANT_ERRNO(pipe(pipefd), 0);
	for (size = 0; size < 256; size++)
		if (size != 1 && size != 2 && size != 4)
			WANT_ERRNO(bell(&g, PORT, size, good.fd), EINVAL);
	WANT_ERRNO(bell(&g, 0xffff, 2, good.fd), EINVAL);
	WANT_ERRNO(bell(&g, 0xfffd, 4, good.fd), EINVAL);
	WANT_ERRNO(bell(&g, PORT, 2, pipefd[0]), EINVAL);
	WANT_ERRNO(bell(&g, PORT, 2, g.vm), EINVAL);
	WANT_ERRNO(bell(&g, PORT, 2, 1000), EBADF);
	d = good;
	d.fd = -1;
	WANT_ERRNO(ioctl(g.vm, VMM_DOORBELL, &d), EBADF);
	d = good;
	d.flags = VMM_EVENT_REMOVE << 1;
	WANT_ERRNO(ioctl(g.vm, VMM_DOORBELL, &d), EINVAL);
	d = good;
	d.reserved = 1;
	WANT_ERRNO(ioctl(g.vm, VMM_DOORBELL, &d), EINVAL);
	d = good;
	d.flags = VMM_EVENT_REMOVE;
	WANT_ERRNO(ioctl(g.vm, VMM_DOORBELL, &d), EINVAL);
	WANT_ERRNO(ioctl(g.vm, VMM_DOORBELL, NULL), EFAULT);
	WANT_ERRNO(ioctl(g.dev, VMM_DOORBELL, &good), ENOTTY);
	WANT_ERRNO(bell(&g, 0, 1, good.fd), 0);
	WANT_ERRNO(bell(&g, 0xffff, 1, good.fd), 0);
	WANT_ERRNO(bell(&g, 0xfffe, 2, good.fd), 0);
	WANT_ERRNO(bell(&g, 0xfffc, 4, good.fd), 0);
	WANT_ERRNO(ioctl(g.vm, VMM_DOORBELL, &good), 0);
}

static void
test_doorbell_limit(void)
{
	struct guest g;
	unsigned i;
	int fd = event_open();

	guest_open(&g);
	for (i = 0; i < VMM_MAX_DOORBELLS; i++)
		WANT_ERRNO(bell(&g, 2 * i, 2, fd), 0);
	WANT_ERRNO(bell(&g, 2 * i, 2, fd), ENOSPC);
	WANT_ERRNO(bell(&g, 2 * i - 2, 2, -1), 0);
	WANT_ERRNO(bell(&g, 2 * i, 2, fd), 0);
	WANT_ERRNO(bell(&g, 2 * i - 2, 2, fd), ENOSPC);
}

#define RINGS	20000

GUEST_BLOB64(code_many,
	"mov $20000, %ecx\n"
	"mov $0x200, %edx\n"
	"1: out %ax, %dx\n"
	"dec %ecx\n"
	"jnz 1b\n"
	"out %al, $0xfe\n");

static struct guest many;
static atomic_bool many_done;

/* Puts the doorbell there and takes it away, as often as it can. */
static void *
flip(void *arg)
{
	const int *fd = arg;

	while (!atomic_load(&many_done)) {
		WANT_ERRNO(bell(&many, PORT, 2, *fd), 0);
		WANT_ERRNO(bell(&many, PORT, 2, -1), 0);
	}
	return (NULL);
}

/* Every write is either a signal or an exit, while doorbells come and go. */
static void
test_doorbell_running(void)
{
	uint64_t exits = 0;
	pthread_t thread;
	int fd = event_open();

	guest_open(&many);
	GUEST_LONG(&many, code_many);
	WANT_EQ(pthread_create(&thread, NULL, flip, &fd), 0);
	for (;;) {
		guest_run(&many, VMM_EXIT_IO);
		if (many.run->io.port == 0xfe)
			break;
		WANT_EQ(many.run->io.port, PORT);
		exits++;
	}
	atomic_store(&many_done, true);
	pthread_join(thread, NULL);
	WANT_EQ(exits + event_count(fd), RINGS);
	WANT(exits < RINGS);
}

GUEST_BLOB16(code_ring_step,
	"mov $0x200, %dx\n"
	"pushf\n"
	"pop %ax\n"
	"or $0x100, %ax\n"
	"push %ax\n"
	"popf\n"
	"out %ax, %dx\n"
	"rung_step: nop\n");

/* A single step ends a write that rings, as any other. */
static void
test_doorbell_step(void)
{
	struct guest g;
	uint16_t ip;
	int fd = event_open();

	guest_open(&g);
	GUEST_REAL(&g, code_ring_step);
	WANT_ERRNO(bell(&g, PORT, 2, fd), 0);
	guest_vector(&g, VECTOR_DB);
	ip = *(uint16_t *)(g.ram + g.now.regs.gpr[VMM_RSP]);
	WANT_EQ(ip, GUEST_ADDR(code_ring_step, rung_step));
	WANT_EQ(event_count(fd), 1);
}

const struct test tests_doorbell[] = {
	{ "doorbell",		test_doorbell },
	{ "doorbell-remove",	test_doorbell_remove },
	{ "doorbell-closed",	test_doorbell_closed },
	{ "doorbell-fields",	test_doorbell_fields },
	{ "doorbell-limit",	test_doorbell_limit },
	{ "doorbell-running",	test_doorbell_running },
	{ "doorbell-step",	test_doorbell_step },
	{ NULL,			NULL }
};
