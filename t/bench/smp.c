/* SPDX-License-Identifier: ISC */
/*
 * The cost of interrupts, by a minimal program on either kernel interface.
 *
 * usage: smp vmm|kvm
 *
 * Real-mode guests with their local APICs in x2APIC mode.  Whoever has sent
 * something halts, so that on one host CPU nothing but work is counted.
 * Prints, in nanoseconds, which in the lab's --icount mode are instructions:
 *
 *	ipi N		from CPU 0 to the halted CPU 1 and back
 *	wake N		of that, to the first instruction of CPU 1's handler
 *	eoi N		a write to the EOI register
 *	self-ipi N	an IPI to itself, its handler and that one's EOI
 *	timer-set N	a write of the TSC deadline
 *	timer N		a deadline set, its interrupt and EOI, without what the
 *			guest itself executes while it waits
 *	msi N		from the signal to an eventfd, through the halted
 *			guest's handler, to its next halt
 */
#include <sys/eventfd.h>

#include <err.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "raw.h"

#define ROUNDS		20000
#define TIMER_ROUNDS	2000		/* which wait */
#define VECTOR		0x40
#define VECTOR_OTHER	0x41		/* on CPU 1 */

/* What guest and program share, at 0x800. */
struct shared {
	volatile uint32_t	 rounds;
	volatile uint32_t	 flag;		/* the handler was here */
	volatile uint32_t	 count;		/* times it was */
	volatile uint32_t	 begin;		/* TSC, low half */
	volatile uint64_t	 sum;		/* of differences to it */
	volatile uint64_t	 spins;		/* turns of the waiting loop */
};

#define SHARED		0x800

/*
 * Real-mode code, all of whose jumps are relative.  ROUNDS_, FLAG and so on are
 * struct shared's members.
 */
#define GUEST(name, body)						\
	extern const char name[], name##_end[];				\
	__asm__(							\
	    ".pushsection .rodata\n"					\
	    ".code16\n"							\
	    #name ":\n" body						\
	    #name "_end:\n"						\
	    ".code64\n"							\
	    ".popsection\n")

#define ROUNDS_	"0x800"
#define FLAG	"0x804"
#define COUNT	"0x808"
#define BEGIN	"0x80c"
#define SUM	"0x810"
#define SUM_HI	"0x814"
#define SPINS	"0x818"

/* WRMSR of EAX, with EDX 0. */
#define WRMSR(msr)							\
	"	mov	$" msr ", %ecx\n"				\
	"	xor	%edx, %edx\n"					\
	"	wrmsr\n"
#define X2APIC								\
	"	mov	$0x1b, %ecx\n"					\
	"	rdmsr\n"						\
	"	or	$0xc00, %eax\n"					\
	"	wrmsr\n"						\
	"	mov	$0x1ff, %eax\n"					\
	WRMSR("0x80f")
#define EOI								\
	"	xor	%eax, %eax\n"					\
	WRMSR("0x80b")
/* To APIC `dest`: the ICR's low half. */
#define ICR(dest, low)							\
	"	mov	$0x830, %ecx\n"					\
	"	mov	$" dest ", %edx\n"				\
	"	mov	$" low ", %eax\n"				\
	"	wrmsr\n"
#define DONE								\
	"	out	%al, $0x80\n"

/*
 * CPU 0 begins at 0x1000, its handler is at 0x1100; CPU 1 begins at 0x2000,
 * its handler is at 0x2100.
 */
GUEST(ipi_code,
    X2APIC
    "	mov	$0x8000, %sp\n"
    ICR("1", "0x4500")			/* INIT */
    ICR("1", "0x4602")			/* SIPI, at 0x2000 */
    "1:	cmpl	$0, " FLAG "\n"		/* CPU 1 is up */
    "	je	1b\n"
    DONE
    "2:	movl	$0, " FLAG "\n"
    "	rdtsc\n"
    "	mov	%eax, " BEGIN "\n"
    ICR("1", "0x41")
    "3:	sti\n"
    "	hlt\n"
    "	cli\n"
    "	cmpl	$0, " FLAG "\n"
    "	je	3b\n"
    "	decl	" ROUNDS_ "\n"
    "	jnz	2b\n"
    DONE
    "	.org	ipi_code + 0x100, 0x90\n"
    EOI
    "	movl	$1, " FLAG "\n"
    "	iretw\n"
    "	.org	ipi_code + 0x1000, 0x90\n"
    X2APIC
    "	mov	$0x7000, %sp\n"
    "	movl	$1, " FLAG "\n"
    "4:	sti\n"
    "	hlt\n"
    "	jmp	4b\n"
    "	.org	ipi_code + 0x1100, 0x90\n"
    "	rdtsc\n"
    "	sub	" BEGIN ", %eax\n"
    "	add	%eax, " SUM "\n"
    "	adcl	$0, " SUM_HI "\n"
    EOI
    ICR("0", "0x40")
    "	iretw\n");

GUEST(eoi_code,
    X2APIC
    DONE
    "	xor	%eax, %eax\n"
    "	xor	%edx, %edx\n"
    "	mov	$0x80b, %ecx\n"
    "1:	wrmsr\n"
    "	decl	" ROUNDS_ "\n"
    "	jnz	1b\n"
    DONE);

GUEST(self_code,
    X2APIC
    "	mov	$0x8000, %sp\n"
    DONE
    "	sti\n"
    "1:	mov	$0x40, %eax\n"
    WRMSR("0x83f")
    "	nop\n"
    "	decl	" ROUNDS_ "\n"
    "	jnz	1b\n"
    DONE
    "	.org	self_code + 0x100, 0x90\n"
    "	incl	" COUNT "\n"
    EOI
    "	iretw\n");

/* The furthest there is. */
GUEST(timer_set_code,
    X2APIC
    "	mov	$0x40040, %eax\n"
    WRMSR("0x832")
    DONE
    "	mov	$0x6e0, %ecx\n"
    "	rdtsc\n"
    "	add	$0x10000, %edx\n"
    "1:	wrmsr\n"
    "	decl	" ROUNDS_ "\n"
    "	jnz	1b\n"
    DONE);

GUEST(timer_code,
    X2APIC
    "	mov	$0x8000, %sp\n"
    "	mov	$0x40040, %eax\n"
    WRMSR("0x832")
    DONE
    "	sti\n"
    "1:	movl	$0, " FLAG "\n"
    "	rdtsc\n"
    "	add	$30000, %eax\n"
    "	adc	$0, %edx\n"
    "	mov	$0x6e0, %ecx\n"
    "	wrmsr\n"
    "	xor	%ebx, %ebx\n"
    "2:	inc	%ebx\n"
    "	cmpl	$0, " FLAG "\n"
    "	je	2b\n"
    "	add	%ebx, " SPINS "\n"
    "	adcl	$0, " SPINS " + 4\n"
    "	decl	" ROUNDS_ "\n"
    "	jnz	1b\n"
    DONE
    "	.org	timer_code + 0x100, 0x90\n"
    EOI
    "	movl	$1, " FLAG "\n"
    "	iretw\n");

GUEST(msi_code,
    X2APIC
    "	mov	$0x8000, %sp\n"
    DONE
    "1:	sti\n"
    "	hlt\n"
    "	jmp	1b\n"
    "	.org	msi_code + 0x100, 0x90\n"
    "	incl	" COUNT "\n"
    EOI
    "	iretw\n");

struct guest {
	struct raw		 m;
	const struct raw_ops	*b;
	struct shared		*shared;
};

static void *
other_cpu(void *arg)
{
	struct guest *g = arg;
	unsigned cpu = g->m.ncpus - 1;

	g->b->until_done(&g->m, cpu);
	return (NULL);
}

/* On a thread of its own: CPU 1, or the only one. */
static void
start_thread(struct guest *g)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, other_cpu, g) != 0)
		errx(1, "pthread_create");
	pthread_detach(thread);
}

static void
set_vector(struct guest *g, uint8_t vector, uint16_t ip)
{
	const uint16_t entry[2] = { ip, 0 };

	memcpy(g->m.ram + vector * sizeof(entry), entry, sizeof(entry));
}

/* Runs it until it is ready for its rounds. */
static void
start(struct guest *g, const struct raw_ops *b, unsigned ncpus,
    const char *code, const char *end)
{
	memset(g, 0, sizeof(*g));
	g->b = b;
	g->m.ncpus = ncpus;
	g->m.irqchip = RAW_IRQCHIP;
	raw_start(&g->m, b, code, end);
	g->shared = (struct shared *)(g->m.ram + SHARED);
	set_vector(g, VECTOR, RAW_CODE + 0x100);
	set_vector(g, VECTOR_OTHER, RAW_CODE + 0x1100);
	if (ncpus > 1)
		start_thread(g);
	b->until_done(&g->m, 0);
}

/* So many rounds of it: ns each. */
static double
rounds(struct guest *g, uint32_t n)
{
	double begin;

	g->shared->rounds = n;
	begin = raw_now();
	g->b->until_done(&g->m, 0);
	return ((raw_now() - begin) / n);
}

static void
bench_ipi(const struct raw_ops *b)
{
	struct guest g;

	start(&g, b, 2, ipi_code, ipi_code_end);
	g.shared->sum = 0;
	printf("ipi %.0f\n", rounds(&g, ROUNDS));
	printf("wake %.0f\n", (double)g.shared->sum / ROUNDS);
}

static void
bench_timer(const struct raw_ops *b)
{
	struct guest g;
	double ns;

	start(&g, b, 1, timer_set_code, timer_set_code_end);
	printf("timer-set %.0f\n", rounds(&g, ROUNDS));
	start(&g, b, 1, timer_code, timer_code_end);
	ns = rounds(&g, TIMER_ROUNDS);
	/* Three instructions a turn. */
	printf("timer %.0f\n", ns - 3.0 * (double)g.shared->spins / TIMER_ROUNDS);
}

static void
bench_msi(const struct raw_ops *b)
{
	const uint64_t one = 1;
	struct guest g;
	double begin;
	uint32_t i;
	int fd;

	start(&g, b, 1, msi_code, msi_code_end);
	fd = raw_check(eventfd(0, EFD_NONBLOCK), "eventfd");
	b->msi(&g.m, fd, VECTOR);
	start_thread(&g);
	usleep(10000);		/* until it halts */
	begin = raw_now();
	for (i = 1; i <= ROUNDS; i++) {
		if (write(fd, &one, sizeof(one)) != sizeof(one))
			err(1, "eventfd");
		do
			sched_yield();
		while (g.shared->count != i);
	}
	printf("msi %.0f\n", (raw_now() - begin) / ROUNDS);
}

int
main(int argc, char **argv)
{
	const struct raw_ops *b;
	struct guest g;

	b = raw_find(argc == 2 ? argv[1] : NULL, "smp");
	setvbuf(stdout, NULL, _IOLBF, 0);
	bench_ipi(b);
	start(&g, b, 1, eoi_code, eoi_code_end);
	printf("eoi %.0f\n", rounds(&g, ROUNDS));
	start(&g, b, 1, self_code, self_code_end);
	printf("self-ipi %.0f\n", rounds(&g, ROUNDS));
	if (g.shared->count != ROUNDS)
		errx(1, "self-ipi: not every one came");
	bench_timer(b);
	bench_msi(b);
	return (0);
}
