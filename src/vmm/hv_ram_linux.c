/* SPDX-License-Identifier: ISC */
/*
 * Guest RAM on Linux: anonymous memory that the backend hands to its kernel.
 */
#include <sys/mman.h>

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "devices/gmem.h"
#include "vmm/hv_backend.h"

#define MIB		((uint64_t)1024 * 1024)
#define UNMAP_STEP	((size_t)32 * 1024 * 1024)
#define HUGE_PAGE	((size_t)2 * 1024 * 1024)

/*
 * Maps guest RAM, aligned as the guest's addresses are, so that huge pages of
 * the host can back huge pages of the guest.
 */
static void *
map_range(size_t size)
{
	size_t all = size + HUGE_PAGE, head;
	char *p;

	p = mmap(NULL, all, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	head = -(uintptr_t)p & (HUGE_PAGE - 1);
	if (head > 0)
		munmap(p, head);
	munmap(p + head + size, all - head - size);
	/* Hints: the guest runs without either. */
	madvise(p + head, size, MADV_HUGEPAGE);
	madvise(p + head, size, MADV_DONTDUMP);
	return p + head;
}

/* In steps: nobody else's page faults shall wait for a whole guest's pages. */
static void
unmap_range(char *p, size_t size)
{
	size_t off, step;

	for (off = 0; off < size; off += step) {
		step = size - off < UNMAP_STEP ? size - off : UNMAP_STEP;
		madvise(p + off, step, MADV_DONTNEED);
	}
	munmap(p, size);
}

void
hv_ram_unmap(struct gmem *gm)
{
	unsigned i;

	for (i = 0; i < gm->nranges; i++)
		if (gm->range[i].hva != NULL)
			unmap_range(gm->range[i].hva, gm->range[i].size);
}

int
hv_ram_map(struct gmem *gm, char *err, size_t errlen)
{
	uint64_t host = (uint64_t)sysconf(_SC_PHYS_PAGES) *
	    (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t size = gmem_size(gm);
	unsigned i;

	if (size > host)
		return hv_fail(err, errlen, ENOMEM, "memory: the guest wants "
		    "%" PRIu64 " MiB, this host has %" PRIu64 " MiB",
		    size / MIB, host / MIB);
	for (i = 0; i < gm->nranges; i++)
		gm->range[i].hva = NULL;
	for (i = 0; i < gm->nranges; i++) {
		gm->range[i].hva = map_range(gm->range[i].size);
		if (gm->range[i].hva == NULL) {
			hv_ram_unmap(gm);
			return hv_fail(err, errlen, ENOMEM, "memory: %" PRIu64
			    " MiB for the guest: %s", size / MIB,
			    strerror(ENOMEM));
		}
	}
	return 0;
}
