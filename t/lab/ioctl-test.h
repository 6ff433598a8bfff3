/* SPDX-License-Identifier: ISC */
/*
 * What the parts of vmm-ioctl share: how a test fails, and a guest small
 * enough to be written in assembly.
 *
 * Every test is a process of its own, so that it need not clean up: what it
 * leaves open the driver has to free.
 */
#ifndef VMMD_IOCTL_TEST_H
#define VMMD_IOCTL_TEST_H

#include <stddef.h>
#include <stdint.h>

#include "kernel/vmm_uapi.h"

struct test {
	const char	*name;
	void		(*run)(void);
};

/* Each ends with a row without name. */
extern const struct test tests_setup[];
extern const struct test tests_object[];
extern const struct test tests_state[];
extern const struct test tests_run[];
extern const struct test tests_memory[];
extern const struct test tests_discard[];
extern const struct test tests_dirty[];
extern const struct test tests_event[];
extern const struct test tests_input[];
extern const struct test tests_nmi[];
extern const struct test tests_doorbell[];
extern const struct test tests_irq[];
extern const struct test tests_debug[];
extern const struct test tests_cpu[];
extern const struct test tests_clock[];
extern const struct test tests_smp[];
extern const struct test tests_apic[];
extern const struct test tests_ipi[];
extern const struct test tests_halt[];
extern const struct test tests_eoi[];
extern const struct test tests_kick[];

_Noreturn void	fail(const char *, ...)
		    __attribute__((__format__ (printf, 1, 2)));
/* One of /sys/class/misc/vmm. */
long		counter(const char *);
uint64_t	now_ns(void);
/*
 * Puts this thread on processor 0, and there another process that wants it for
 * itself, until the test ends.
 */
void		compete(void);
/* SIGALRM, to no other effect than that of any signal. */
void		signal_every(unsigned);
void		signal_after(unsigned);

#define WANT(x) do {							\
	if (!(x))							\
		fail("line %d: %s", __LINE__, #x);			\
} while (0)

#define WANT_EQ(got, want) do {						\
	unsigned long long got_ = (got), want_ = (want);		\
	if (got_ != want_)						\
		fail("line %d: %s is %#llx, not %#llx", __LINE__, #got,	\
		    got_, want_);					\
} while (0)

/* The call returns -1 with that errno. */
#define WANT_ERRNO(call, error)						\
	want_errno(#call, __LINE__, (call), (error))
void		want_errno(const char *, int, long, int);

/*
 * Code for a guest, which starts at GUEST_CODE.  NAME and NAME_end enclose it;
 * a label inside is another uint8_t array to be declared.
 */
#define GUEST_BLOB(name, bits, text)					\
	extern const uint8_t name[], name##_end[];			\
	__asm__(".pushsection .rodata\n.code" #bits "\n"		\
	    ".globl " #name "\n" #name ":\n" text "\n"			\
	    ".globl " #name "_end\n" #name "_end:\n.code64\n.popsection\n")
#define GUEST_BLOB16(name, text)	GUEST_BLOB(name, 16, text)
#define GUEST_BLOB64(name, text)	GUEST_BLOB(name, 64, text)

/* Where an instruction of a blob is in the guest. */
#define GUEST_ADDR(blob, label)	(GUEST_CODE + (uint64_t)((label) - (blob)))

/* The guest's memory: what is below GUEST_CODE is filled by guest_open(). */
#define GUEST_STUBS	0x0800		/* handlers, 4 bytes a vector */
#define GUEST_GDT	0x0c00
#define GUEST_CODE	0x1000
#define GUEST_STACK	0x8000		/* grows down from here */
#define GUEST_IDT	0x9000		/* of long mode */
#define GUEST_TABLES	0xa000		/* three pages */
#define GUEST_SIZE	0x10000
#define GUEST_STACKS	0x40	/* bytes of it a vCPU */

#define GUEST_CS	0x08
#define GUEST_DS	0x10

struct guest {
	int		 dev;
	int		 vm;
	int		 vcpu;
	unsigned	 id;		/* the vCPU's */
	uint8_t		*ram;		/* [0, GUEST_SIZE) */
	struct vmm_run	*run;
	struct vmm_state now;		/* after the last run */
};

/*
 * A VM with memory.  Each vector's handler writes AL to the port of its own
 * number and returns; the code itself uses ports from 256 on.
 */
void		guest_open(struct guest *);
/* One range more, before guest_real() or guest_long(): its backing. */
void		*guest_memory(struct guest *, uint64_t, size_t);
/* Makes the vCPU, about to run the blob in real mode or in long mode. */
void		guest_real(struct guest *, const uint8_t *, const uint8_t *);
void		guest_long(struct guest *, const uint8_t *, const uint8_t *);
#define GUEST_REAL(g, blob)	guest_real(g, blob, blob##_end)
#define GUEST_LONG(g, blob)	guest_long(g, blob, blob##_end)

/*
 * One vCPU more of the same VM, in the state of the first but that it runs
 * the code at `rip` on a stack of its own.
 */
void		guest_vcpu(const struct guest *, unsigned id, struct guest *);
void		guest_start(const struct guest *, uint64_t rip,
		    struct guest *);

void		guest_get(const struct guest *, struct vmm_state *);
void		guest_set(const struct guest *, const struct vmm_state *);
/* Runs until there is a reason other than VMM_EXIT_NONE: it must be this. */
void		guest_run(struct guest *, uint32_t);
/* Runs to an OUT to that port; what it wrote. */
uint32_t	guest_out(struct guest *, uint16_t);
/* Runs to the handler of that vector. */
void		guest_vector(struct guest *, uint8_t);
uint64_t	guest_rax(const struct guest *);

void		vmm_create(struct guest *);	/* dev and vm only */
int		vmm_memory(const struct guest *, uint64_t, uint64_t,
		    const void *);

/* An eventfd that does not block, a signal to it, and its count, taken. */
int		event_open(void);
void		event_signal(int);
uint64_t	event_count(int);

#endif /* VMMD_IOCTL_TEST_H */
