/* SPDX-License-Identifier: ISC */
/*
 * The cost of an exit, by a minimal program on either kernel interface.
 *
 * usage: exits vmm|kvm
 *
 * Real-mode guests: one writes a port for ever, which this program handles by
 * entering again; one runs CPUID a number of times, and one writes a doorbell,
 * which the kernel handles, the eventfd having no reader.  A fourth one halts,
 * on a thread of its own that another kicks: from there to the end of the run.
 * Prints "port N", "cpuid N", "doorbell N" and "kick N": nanoseconds each,
 * which in the lab's --icount mode are instructions.
 */
#include <sys/eventfd.h>

#include <err.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "raw.h"

#define ROUNDS		200000
#define KICKS		5000

extern const char port_code[], port_end[], cpuid_code[], cpuid_end[],
    bell_code[], bell_end[], halt_code[], halt_end[];

__asm__(
    ".pushsection .rodata\n"
    ".code16\n"
    "port_code:\n"
    "	out	%al, $0x80\n"
    "	jmp	port_code\n"
    "port_end:\n"
    "cpuid_code:\n"
    "	mov	$200000, %esi\n"
    "1:	xor	%eax, %eax\n"
    "	cpuid\n"
    "	dec	%esi\n"
    "	jnz	1b\n"
    "	out	%al, $0x80\n"
    "	hlt\n"
    "cpuid_end:\n"
    "bell_code:\n"
    "	mov	$200000, %esi\n"
    "	mov	$0x200, %dx\n"
    "1:	out	%ax, %dx\n"
    "	dec	%esi\n"
    "	jnz	1b\n"
    "	out	%al, $0x80\n"
    "	hlt\n"
    "bell_end:\n"
    "halt_code:\n"
    "	sti\n"
    "	hlt\n"
    "	jmp	halt_code\n"
    "halt_end:\n"
    ".code64\n"
    ".popsection\n");

static void
bench_doorbell(const struct raw_ops *b)
{
	struct raw m = { .ncpus = 1 };
	uint64_t rung;
	double begin, end;
	int fd;

	fd = raw_check(eventfd(0, EFD_NONBLOCK), "eventfd");
	raw_start(&m, b, bell_code, bell_end);
	b->doorbell(&m, fd);
	begin = raw_now();
	b->until_done(&m, 0);
	end = raw_now();
	if (read(fd, &rung, sizeof(rung)) != sizeof(rung) || rung != ROUNDS)
		errx(1, "doorbell: not every write rang");
	printf("doorbell %.0f\n", (end - begin) / ROUNDS);
}

/* One vCPU's thread and whoever kicks it. */
struct kicked {
	struct raw		 m;
	const struct raw_ops	*b;
	sem_t			 ready;
	sem_t			 done;
	double			 end;
};

static void *
halted_vcpu(void *arg)
{
	struct kicked *k = arg;
	int i;

	k->b->can_kick(&k->m);
	for (i = 0; i < KICKS; i++) {
		sem_post(&k->ready);
		k->b->until_kick(&k->m);
		k->end = raw_now();
		sem_post(&k->done);
	}
	return (NULL);
}

static void
bench_kick(const struct raw_ops *b)
{
	struct kicked k = {
		.b = b,
		.m = { .ncpus = 1, .irqchip = RAW_SPLIT },
	};
	double begin, total = 0;
	pthread_t thread;
	int i;

	raw_start(&k.m, b, halt_code, halt_end);
	sem_init(&k.ready, 0, 0);
	sem_init(&k.done, 0, 0);
	if (pthread_create(&thread, NULL, halted_vcpu, &k) != 0)
		errx(1, "pthread_create");
	for (i = 0; i < KICKS; i++) {
		sem_wait(&k.ready);
		usleep(200);		/* until it halts */
		begin = raw_now();
		b->kick(&k.m);
		sem_wait(&k.done);
		total += k.end - begin;
	}
	pthread_join(thread, NULL);
	printf("kick %.0f\n", total / KICKS);
}

int
main(int argc, char **argv)
{
	const struct raw_ops *b;
	struct raw m = { .ncpus = 1 };
	double begin;
	int i;

	b = raw_find(argc == 2 ? argv[1] : NULL, "exits");

	raw_start(&m, b, port_code, port_end);
	b->until_done(&m, 0);
	begin = raw_now();
	for (i = 0; i < ROUNDS; i++)
		b->until_done(&m, 0);
	printf("port %.0f\n", (raw_now() - begin) / ROUNDS);

	raw_start(&m, b, cpuid_code, cpuid_end);
	begin = raw_now();
	b->until_done(&m, 0);
	printf("cpuid %.0f\n", (raw_now() - begin) / ROUNDS);
	bench_doorbell(b);
	bench_kick(b);
	return (0);
}
