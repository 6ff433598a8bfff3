/* SPDX-License-Identifier: ISC */
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "ioctl-touch.h"

/* RBX: where to look; a word to read, then one to write. */
GUEST_BLOB64(touch_code,
	"mov $0x100, %dx\n"
	"mov (%rbx), %ax\n"
	"out %ax, %dx\n"
	".globl touch_write\n"
	"touch_write: mov %cx, (%rbx)\n"
	"out %ax, %dx\n"
	"hlt\n");

void
touch_at(struct guest *g, uint64_t gpa, uint16_t value)
{
	struct vmm_state s;

	guest_get(g, &s);
	s.regs.rip = GUEST_CODE;
	s.regs.gpr[VMM_RBX] = gpa;
	s.regs.gpr[VMM_RCX] = value;
	guest_set(g, &s);
}

uint8_t *
touch_memory(struct guest *g, size_t size, size_t off)
{
	uint8_t *p = mmap(NULL, size + 2 * BLOCK, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	WANT(p != MAP_FAILED);
	p += -(uintptr_t)p & (BLOCK - 1);
	WANT_ERRNO(madvise(p, size + BLOCK, MADV_HUGEPAGE), 0);
	WANT_ERRNO(vmm_memory(g, HIGH, size, p + off), 0);
	return (p + off);
}

void
touch_pages(struct guest *g, uint8_t *high, unsigned first, unsigned n)
{
	unsigned i;

	for (i = first; i < first + n; i++) {
		high[i * PAGE] = i;
		high[i * PAGE + 1] = i >> 8;
		touch_at(g, HIGH + i * PAGE, ~i);
		WANT_EQ(guest_out(g, 0x100), i);
		guest_out(g, 0x100);
		WANT_EQ(high[i * PAGE], ~i & 0xff);
		WANT_EQ(high[i * PAGE + 1], ~i >> 8 & 0xff);
	}
}

uint8_t *
touch_open(struct guest *g, unsigned n)
{
	uint8_t *high;

	guest_open(g);
	high = touch_memory(g, TOUCH_PAGES * PAGE, 0);
	GUEST_LONG(g, touch_code);
	guest_out(g, 0x100);
	touch_pages(g, high, 0, n);
	touch_pages(g, high, BLOCK_PAGES, n);
	return (high);
}
