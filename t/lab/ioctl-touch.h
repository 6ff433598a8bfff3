/* SPDX-License-Identifier: ISC */
/* A guest of vmm-ioctl's that touches the memory it is told to. */
#ifndef VMMD_IOCTL_TOUCH_H
#define VMMD_IOCTL_TOUCH_H

#include "ioctl-test.h"

#define PAGE		4096
#define BLOCK		0x200000
#define BLOCK_PAGES	(BLOCK / PAGE)
#define HIGH		0x1000000	/* where a test puts memory of its own */

/* For GUEST_LONG: reads a word, port 0x100, writes a word, port 0x100. */
extern const uint8_t touch_code[], touch_code_end[];

/* The next run does so at a guest-physical address, writing `value`. */
void		touch_at(struct guest *, uint64_t, uint16_t);

/*
 * So many bytes at HIGH, backed by memory that begins so many bytes behind
 * what can be a huge page of the host's.
 */
uint8_t		*touch_memory(struct guest *, size_t, size_t);

/*
 * Guest and daemon write to n pages behind HIGH, each: both must see what the
 * other has written.
 */
void		touch_pages(struct guest *, uint8_t *, unsigned, unsigned);

/*
 * A guest with two huge pages at HIGH, of each of which it has touched the
 * first n small ones; returns where the daemon has them.
 */
#define TOUCH_PAGES	((size_t)2 * BLOCK_PAGES)
uint8_t		*touch_open(struct guest *, unsigned);

#endif /* VMMD_IOCTL_TOUCH_H */
