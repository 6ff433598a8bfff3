/* SPDX-License-Identifier: ISC */
/*
 * The guest that is run to see whether guests run: one OUT in 64-bit mode.
 *
 * All of it is one page at guest-physical 0.  Its first entry leads to itself,
 * so it is PML4, page directory pointer table and page directory at once; the
 * second maps the 2 MiB from 0 on, and with them the code behind it.
 */
#include <sys/mman.h>

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "devices/gmem.h"
#include "vmm/hv.h"
#include "vmm/hv_backend.h"
#include "vmm/hv_kvm.h"

#define PAGE_BYTES	4096
#define PROBE_PORT	0x80		/* nobody's */
#define PROBE_SECONDS	2

#define CODE_OFFSET	0x100
#define CODE_ADDRESS	(0x200000 + CODE_OFFSET)

#define PTE_TABLE	0x03		/* present, writable */
#define PTE_LARGE	0x83

#define CR0_LONG	0x80000031	/* PG NE ET PE */
#define CR4_PAE		0x20
#define EFER_LONG	0x500		/* LME LMA */
#define AR_CODE64	0xa09b
#define AR_DATA		0xc093
#define AR_TSS		0x008b

int
hv_kvm_probe_page(struct gmem_range *r)
{
	static const uint8_t code[] = { 0xe6, PROBE_PORT };	/* out %al */
	uint64_t *entry;

	entry = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (entry == MAP_FAILED)
		return -errno;
	entry[0] = PTE_TABLE;
	entry[1] = PTE_LARGE;
	memcpy((char *)entry + CODE_OFFSET, code, sizeof(code));
	r->gpa = 0;
	r->size = PAGE_BYTES;
	r->hva = (void *)entry;
	return 0;
}

void
hv_kvm_probe_regs(struct hv_regs *r)
{
	const struct hv_segment data = {
		.limit = UINT32_MAX, .selector = 0x18, .ar = AR_DATA,
	};

	memset(r, 0, sizeof(*r));
	r->rip = CODE_ADDRESS;
	r->rflags = 2;
	r->cr0 = CR0_LONG;
	r->cr4 = CR4_PAE;
	r->efer = EFER_LONG;
	r->ds = r->es = r->fs = r->gs = r->ss = data;
	r->cs = data;
	r->cs.selector = 0x10;
	r->cs.ar = AR_CODE64;
	r->tr.ar = AR_TSS;
	r->tr.limit = 0xffff;
}

int
hv_kvm_probe_timer(timer_t *timer)
{
	struct sigevent ev = {
		.sigev_notify = SIGEV_SIGNAL, .sigev_signo = HV_KICK_SIGNAL,
	};
	struct itimerspec when = {
		.it_value.tv_sec = PROBE_SECONDS,
		.it_interval.tv_sec = PROBE_SECONDS,
	};
	int error;

	if (timer_create(CLOCK_MONOTONIC, &ev, timer) == -1)
		return -errno;
	if (timer_settime(*timer, 0, &when, NULL) == 0)
		return 0;
	error = -errno;
	timer_delete(*timer);
	return error;
}

int
hv_kvm_probe_verdict(const struct hv_exit *e, char *err, size_t errlen)
{
	const char *why;

	if (e->kind == HV_EXIT_IO && e->io.port == PROBE_PORT && !e->io.in)
		return 0;
	if (e->kind == HV_EXIT_ERROR)
		why = e->msg;
	else if (e->kind == HV_EXIT_NONE)
		why = "the first instruction of one does not end";
	else
		why = "the first instruction of one fails";
	return hv_fail(err, errlen, ENOTSUP, "backend kvm: /dev/kvm does not "
	    "run guests: %s", why);
}
