/* SPDX-License-Identifier: ISC */
/*
 * Instructions that a hypervisor has to perform, in a guest: on memory where
 * no RAM and no device is, which reads ones and takes writes, and on ports, by
 * strings.
 *
 * usage: guest-emulate
 *
 * Prints "guest-emulate: CHECK ok" or what differs, a line a check; the check
 * "outs" prints its own by the UART's port.
 */
#include <sys/io.h>
#include <sys/mman.h>
#include <sys/ucontext.h>

#include <err.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define PAGE		4096
#define HOLE		0xd0000000	/* between RAM and the chips */
#define COM1		0x3f8
#define ABSENT		0x1f0		/* a disk controller of old */
#define CF		0x001
#define ZF		0x040
#define TF		0x100

/* Pages in this order: RAM, nothing but the hole, RAM, not mapped. */
static volatile uint8_t	*ram0, *hole, *ram1, *none;

static const char	*name;
static bool		 differs;

/* The fault that is expected. */
static sigjmp_buf	 jump;
static greg_t		 fault[NGREG];
static uintptr_t	 fault_at;

#define CHECK(what) do { \
	if (!(what)) { \
		differs = true; \
		printf("guest-emulate: %s differs: %s\n", name, #what); \
	} \
} while (0)

static void
map_pages(void)
{
	uint8_t *p;
	int fd;

	p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	fd = open("/dev/mem", O_RDWR | O_SYNC);
	if (fd == -1 || p == MAP_FAILED)
		err(1, "/dev/mem");
	if (mmap(p + PAGE, PAGE, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_FIXED, fd, HOLE) == MAP_FAILED)
		err(1, "hole");
	if (mprotect(p + 3 * PAGE, PAGE, PROT_NONE) == -1)
		err(1, "mprotect");
	close(fd);
	ram0 = p;
	hole = p + PAGE;
	ram1 = p + 2 * PAGE;
	none = p + 3 * PAGE;
}

static void
on_fault(int sig, siginfo_t *si, void *context)
{
	const ucontext_t *uc = context;

	(void)sig;
	memcpy(fault, uc->uc_mcontext.gregs, sizeof(fault));
	fault_at = (uintptr_t)si->si_addr;
	siglongjmp(jump, 1);
}

#define READ(insn, type) ({ \
	type v_; \
	__asm__ volatile(insn " %1, %0" : "=r" (v_) : "m" (*hole)); \
	v_; \
})

static void
check_read(void)
{
	CHECK(READ("movb", uint8_t) == 0xff);
	CHECK(READ("movw", uint16_t) == 0xffff);
	CHECK(READ("movl", uint32_t) == 0xffffffff);
	CHECK(READ("movq", uint64_t) == UINT64_MAX);
	CHECK(READ("movzbl", uint32_t) == 0xff);
	CHECK(READ("movsbl", uint32_t) == 0xffffffff);
	CHECK(READ("movzwl", uint32_t) == 0xffff);
	CHECK(READ("movswq", uint64_t) == UINT64_MAX);
	CHECK(READ("movslq", uint64_t) == UINT64_MAX);
}

static void
check_write(void)
{
	__asm__ volatile("movb %b1, %0\n movw %w1, 2%0\n movl %1, 4%0\n"
	    "movq %q1, 8%0\n movl $0, %0\n movq $-2, 8%0\n movnti %1, %0"
	    : "=m" (*hole) : "r" (0));
	CHECK(READ("movq", uint64_t) == UINT64_MAX);
}

/* One instruction on the hole: its flags. */
#define FLAGS(insn, reg) ({ \
	uint64_t f_; \
	__asm__ volatile("stc\n" insn "\n pushfq\n pop %0" \
	    : "=&r" (f_), "+m" (*hole), "+r" (reg) : : "cc"); \
	f_ & (CF | ZF); \
})

static void
check_arithmetic(void)
{
	uint64_t r = 1;
	uint32_t a = 5;
	uint8_t equal;

	CHECK(FLAGS("addl %k2, %1", r) == (CF | ZF));
	CHECK(FLAGS("adcl $0, %1", r) == (CF | ZF));
	CHECK(FLAGS("subl $-1, %1", r) == ZF);
	CHECK(FLAGS("andb $0, %1", r) == ZF);
	CHECK(FLAGS("orq $8, %1", r) == 0);
	CHECK(FLAGS("xorw $-1, %1", r) == ZF);
	CHECK(FLAGS("incb %1", r) == (CF | ZF));
	CHECK(FLAGS("decl %1", r) == CF);
	CHECK(FLAGS("negl %1", r) == CF);
	CHECK(FLAGS("cmpl $-1, %1", r) == ZF);
	CHECK(FLAGS("testb $1, %1", r) == 0);
	/* ZF is not theirs. */
	CHECK(FLAGS("clc; btl $5, %1", r) & CF);
	CHECK(FLAGS("clc; lock btrl $9, %1", r) & CF);
	FLAGS("xchgl %k2, %1", r);
	CHECK(r == 0xffffffff);
	r = 2;
	FLAGS("lock xaddq %2, %1", r);
	CHECK(r == UINT64_MAX);
	__asm__ volatile("lock cmpxchgl %3, %1\n sete %2"
	    : "+a" (a), "+m" (*hole), "=q" (equal) : "r" (7) : "cc");
	CHECK(a == 0xffffffff && equal == 0);
}

static void
check_strings(void)
{
	volatile uint8_t *to = ram1;
	const volatile uint8_t *from = hole;
	uint64_t n = 100;

	memset((void *)ram1, 0, PAGE);
	__asm__ volatile("rep movsb" : "+D" (to), "+S" (from), "+c" (n) : :
	    "memory");
	CHECK(n == 0 && to == ram1 + 100 && from == hole + 100);
	CHECK(ram1[0] == 0xff && ram1[99] == 0xff && ram1[100] == 0);
	to = hole;
	n = PAGE / 8;
	__asm__ volatile("rep stosq" : "+D" (to), "+c" (n) : "a" (0L) :
	    "memory");
	CHECK(n == 0 && to == ram1);
	/* From the hole into RAM, where it ends: 100 ones are there. */
	to = ram1 - 8;
	n = 1000;
	__asm__ volatile("repe scasb" : "+D" (to), "+c" (n) : "a" (0xff) :
	    "memory", "cc");
	CHECK(to == ram1 + 101 && n == 1000 - 109);
	to = ram1;
	from = hole;
	n = 1000;
	__asm__ volatile("repe cmpsl" : "+D" (to), "+S" (from), "+c" (n) : :
	    "memory", "cc");
	CHECK(to == ram1 + 104 && n == 1000 - 26);
}

/* An operand half in RAM, half in the hole. */
static void
check_crossing(void)
{
	uint64_t v = 0;

	memset((void *)(ram0 + PAGE - 8), 0, 8);
	memset((void *)ram1, 0, 8);
	__asm__ volatile("movq %1, %0" : "=r" (v) : "m" (*(hole - 4)));
	CHECK(v == 0xffffffff00000000);
	__asm__ volatile("movq %1, %0" : "=r" (v) : "m" (*(ram1 - 3)));
	CHECK(v == 0xffffff);
	__asm__ volatile("movl %1, %0" : "=m" (*(hole - 1)) : "r" (0x11223344));
	CHECK(ram0[PAGE - 1] == 0x44 && ram0[PAGE - 2] == 0);
	__asm__ volatile("incl %0" : "+m" (*(ram1 - 2)) : : "cc");
	CHECK(ram1[0] == 1 && ram1[1] == 0);
}

/* A fault in the middle: where, and what the registers say. */
static void
check_faults(void)
{
	if (mprotect((void *)ram1, PAGE, PROT_NONE) == -1)
		err(1, "mprotect");
	if (sigsetjmp(jump, 1) == 0) {
		__asm__ volatile("movl $0, %0" : "=m" (*(ram1 - 2)));
		CHECK(!"no fault");
	}
	CHECK(fault_at == (uintptr_t)ram1);
	CHECK((fault[REG_ERR] & 7) == 6);
	if (sigsetjmp(jump, 1) == 0) {
		__asm__ volatile("rep stosb" : : "D" (ram1 - 10), "c" (20L),
		    "a" (0) : "memory");
		CHECK(!"no fault");
	}
	CHECK(fault_at == (uintptr_t)ram1);
	CHECK(fault[REG_RCX] == 10 && fault[REG_RDI] == (greg_t)ram1);
	if (sigsetjmp(jump, 1) == 0) {
		__asm__ volatile("rep movsw" : : "S" (ram1 - 8), "D" (hole),
		    "c" (20L) : "memory");
		CHECK(!"no fault");
	}
	CHECK(fault_at == (uintptr_t)ram1);
	CHECK(fault[REG_RCX] == 16 && (fault[REG_ERR] & 7) == 4);
	if (mprotect((void *)ram1, PAGE, PROT_READ | PROT_WRITE) == -1)
		err(1, "mprotect");
}

static void
check_ins(void)
{
	volatile uint8_t *to = ram1 + PAGE - 20;
	uint64_t n = 10;

	memset((void *)ram1, 0, PAGE);
	__asm__ volatile("rep insw" : "+D" (to), "+c" (n) : "d" (ABSENT) :
	    "memory");
	CHECK(n == 0 && to == none && none[-1] == 0xff && none[-20] == 0xff);
	CHECK(none[-21] == 0);
	__asm__ volatile("std\n insl\n cld" : "=D" (to) : "0" (ram1 + 40),
	    "d" (ABSENT) : "memory");
	CHECK(to == ram1 + 36 && ram1[40] == 0xff && ram1[44] == 0);
	if (sigsetjmp(jump, 1) == 0) {
		__asm__ volatile("rep insb" : : "D" (none - 3), "c" (9L),
		    "d" (ABSENT) : "memory");
		CHECK(!"no fault");
	}
	CHECK(fault_at == (uintptr_t)none && fault[REG_RCX] == 6);
}

static void
check_outs(void)
{
	static const char text[] = "guest-emulate: outs ok\r\n";
	const char *from = text;
	uint64_t n = sizeof(text) - 1;

	/* The kernel's own words first. */
	fflush(stdout);
	tcdrain(STDOUT_FILENO);
	__asm__ volatile("rep outsb" : "+S" (from), "+c" (n) : "d" (COM1) :
	    "memory");
	CHECK(n == 0 && from == text + sizeof(text) - 1);
	if (sigsetjmp(jump, 1) == 0) {
		__asm__ volatile("rep outsw" : : "S" (none - 4), "c" (5L),
		    "d" (ABSENT) : "memory");
		CHECK(!"no fault");
	}
	CHECK(fault_at == (uintptr_t)none && fault[REG_RCX] == 3);
}

static volatile uintptr_t	steps[16];
static volatile unsigned	nsteps;

static void
on_step(int sig, siginfo_t *si, void *context)
{
	const ucontext_t *uc = context;

	(void)sig;
	(void)si;
	if (nsteps < 16)
		steps[nsteps++] = (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
}

/*
 * A trap after each instruction, and after none twice.  They only read: KVM
 * forgets the trap after a write that user space did.
 */
static void
check_steps(void)
{
	uintptr_t first, second;

	nsteps = 0;
	__asm__ volatile(
	    "lea	1f(%%rip), %0\n	lea 2f(%%rip), %1\n"
	    "pushfq\n	orl %3, (%%rsp)\n	popfq\n"
	    "testb	$1, %2\n"
	    "1: cmpl	$-1, %2\n"
	    "2: pushfq\n	andl %4, (%%rsp)\n	popfq\n"
	    : "=&r" (first), "=&r" (second) : "m" (*hole), "i" (TF),
	      "i" (~TF) : "memory", "cc");
	CHECK(nsteps == 5 && steps[0] == first && steps[1] == second);
}

static const struct {
	const char	*name;
	void		(*fn)(void);
} checks[] = {
	{ "read", check_read },
	{ "write", check_write },
	{ "arithmetic", check_arithmetic },
	{ "strings", check_strings },
	{ "crossing", check_crossing },
	{ "faults", check_faults },
	{ "steps", check_steps },
	{ "ins", check_ins },
	{ "outs", check_outs },
};

int
main(void)
{
	struct sigaction sa = { .sa_sigaction = on_fault,
	    .sa_flags = SA_SIGINFO };
	bool failed = false;
	unsigned i;

	sigaction(SIGSEGV, &sa, NULL);
	sa.sa_sigaction = on_step;
	sigaction(SIGTRAP, &sa, NULL);
	map_pages();
	if (iopl(3) == -1)
		err(1, "iopl");
	for (i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		name = checks[i].name;
		differs = false;
		checks[i].fn();
		if (!differs && checks[i].fn != check_outs)
			printf("guest-emulate: %s ok\n", name);
		failed |= differs;
	}
	return failed;
}
