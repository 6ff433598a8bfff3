/* SPDX-License-Identifier: ISC */
/* vmm-ioctl: what is asked of /dev/vmm and of a VM before it has a vCPU. */
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ioctl-test.h"

#define PAGE		4096ULL
#define GPA_END		(1ULL << VMM_GPA_BITS)
#define USER_END	0x7ffffffff000ULL	/* of the host's processes */

static void
test_info(void)
{
	struct vmm_info info;
	struct guest g;

	memset(&info, 0xff, sizeof(info));
	vmm_create(&g);
	WANT_ERRNO(ioctl(g.dev, VMM_GET_INFO, &info), 0);
	WANT_EQ(info.abi, VMM_ABI);
	WANT_EQ(info.run_size, sysconf(_SC_PAGESIZE));
	WANT(info.run_size >= sizeof(struct vmm_run));
	WANT(info.tsc_khz > 100000);
	WANT_EQ(info.features & ~VMM_FEATURE_STABLE_TSC, 0);
	WANT_EQ(info.reserved[0] | info.reserved[1], 0);
}

static void
test_unknown(void)
{
	const unsigned long unknown = _IO(VMM_IOC, 0x7f);
	struct guest g;

	guest_open(&g);
	g.vcpu = ioctl(g.vm, VMM_CREATE_VCPU, 0);
	WANT(g.vcpu != -1);
	WANT_ERRNO(ioctl(g.dev, unknown, 0), ENOTTY);
	WANT_ERRNO(ioctl(g.vm, unknown, 0), ENOTTY);
	WANT_ERRNO(ioctl(g.vcpu, unknown, 0), ENOTTY);
	/* Right call, wrong object; right number, wrong size. */
	WANT_ERRNO(ioctl(g.dev, VMM_CREATE_VCPU, 0), ENOTTY);
	WANT_ERRNO(ioctl(g.dev, VMM_RUN, 0), ENOTTY);
	WANT_ERRNO(ioctl(g.vm, VMM_CREATE_VM, 0), ENOTTY);
	WANT_ERRNO(ioctl(g.vm, VMM_RUN, 0), ENOTTY);
	WANT_ERRNO(ioctl(g.vcpu, VMM_CREATE_VCPU, 0), ENOTTY);
	WANT_ERRNO(ioctl(g.vcpu, _IOR(VMM_IOC, 0x21, char), 0), ENOTTY);
}

static void
test_no_argument(void)
{
	struct guest g;

	guest_open(&g);
	WANT_ERRNO(ioctl(g.dev, VMM_CREATE_VM, 1), EINVAL);
	g.vcpu = ioctl(g.vm, VMM_CREATE_VCPU, 0);
	WANT(g.vcpu != -1);
	WANT_ERRNO(ioctl(g.vcpu, VMM_RUN, 1), EINVAL);
}

/* A pointer to nothing, and one whose last byte lies in nothing. */
static void
test_bad_pointer(void)
{
	struct guest g;
	char *edge;

	edge = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	WANT(edge != MAP_FAILED);
	WANT_ERRNO(munmap(edge + PAGE, PAGE), 0);
	edge += PAGE;
	guest_open(&g);
	WANT_ERRNO(ioctl(g.dev, VMM_GET_INFO, NULL), EFAULT);
	WANT_ERRNO(ioctl(g.dev, VMM_GET_INFO,
	    edge - sizeof(struct vmm_info) + 1), EFAULT);
	WANT_ERRNO(ioctl(g.dev, VMM_GET_INFO,
	    edge - sizeof(struct vmm_info)), 0);
	WANT_ERRNO(ioctl(g.dev, VMM_GET_CPUID, NULL), EFAULT);
	WANT_ERRNO(ioctl(g.vm, VMM_SET_CPUID, NULL), EFAULT);
	WANT_ERRNO(ioctl(g.vm, VMM_SET_MEMORY, NULL), EFAULT);
	WANT_ERRNO(ioctl(g.vm, VMM_SET_MEMORY,
	    edge - sizeof(struct vmm_memory) + 1), EFAULT);
	g.vcpu = ioctl(g.vm, VMM_CREATE_VCPU, 0);
	WANT(g.vcpu != -1);
	WANT_ERRNO(ioctl(g.vcpu, VMM_GET_STATE, NULL), EFAULT);
	WANT_ERRNO(ioctl(g.vcpu, VMM_SET_STATE, NULL), EFAULT);
	WANT_ERRNO(ioctl(g.vcpu, VMM_GET_STATE,
	    edge - sizeof(struct vmm_state) + 1), EFAULT);
	WANT_ERRNO(ioctl(g.vcpu, VMM_GET_STATE,
	    edge - sizeof(struct vmm_state)), 0);
	WANT_ERRNO(ioctl(g.vcpu, VMM_SET_STATE,
	    edge - sizeof(struct vmm_state) + 1), EFAULT);
	WANT_ERRNO(ioctl(g.vcpu, VMM_SET_STATE,
	    edge - sizeof(struct vmm_state)), 0);
}

static struct vmm_cpuid *
alloc_table(void)
{
	/* One row more than the ABI has. */
	struct vmm_cpuid *c = calloc(1, sizeof(*c) + sizeof(c->entry[0]));

	WANT(c != NULL);
	return (c);
}

static void
test_get_cpuid(void)
{
	struct vmm_cpuid *c = alloc_table();
	struct guest g;
	uint32_t rows, i, j;

	vmm_create(&g);
	c->count = VMM_MAX_CPUID;
	WANT_ERRNO(ioctl(g.dev, VMM_GET_CPUID, c), 0);
	rows = c->count;
	WANT(rows > 4 && rows < VMM_MAX_CPUID);
	for (i = 0; i < rows; i++) {
		WANT_EQ(c->entry[i].flags & ~VMM_CPUID_SUBLEAF, 0);
		WANT_EQ(c->entry[i].reserved, 0);
		for (j = 0; j < i; j++)
			WANT(c->entry[i].leaf != c->entry[j].leaf ||
			    c->entry[i].subleaf != c->entry[j].subleaf);
	}
	WANT_ERRNO(ioctl(g.dev, VMM_GET_CPUID, c), 0);
	c->count = rows - 1;
	WANT_ERRNO(ioctl(g.dev, VMM_GET_CPUID, c), E2BIG);
	c->count = 0;
	WANT_ERRNO(ioctl(g.dev, VMM_GET_CPUID, c), E2BIG);
	c->count = VMM_MAX_CPUID;
	c->reserved = 1;
	WANT_ERRNO(ioctl(g.dev, VMM_GET_CPUID, c), EINVAL);
}

static void
test_set_cpuid(void)
{
	struct vmm_cpuid *c = alloc_table();
	struct guest g;

	vmm_create(&g);
	WANT_ERRNO(ioctl(g.vm, VMM_SET_CPUID, c), 0);
	c->count = VMM_MAX_CPUID;
	WANT_ERRNO(ioctl(g.vm, VMM_SET_CPUID, c), 0);
	c->count = VMM_MAX_CPUID + 1;
	WANT_ERRNO(ioctl(g.vm, VMM_SET_CPUID, c), EINVAL);
	c->count = UINT32_MAX;
	WANT_ERRNO(ioctl(g.vm, VMM_SET_CPUID, c), EINVAL);
	c->count = VMM_MAX_CPUID;
	c->entry[VMM_MAX_CPUID - 1].flags = VMM_CPUID_SUBLEAF;
	WANT_ERRNO(ioctl(g.vm, VMM_SET_CPUID, c), 0);
	c->entry[VMM_MAX_CPUID - 1].flags = VMM_CPUID_SUBLEAF << 1;
	WANT_ERRNO(ioctl(g.vm, VMM_SET_CPUID, c), EINVAL);
	c->entry[VMM_MAX_CPUID - 1].flags = 0;
	c->entry[VMM_MAX_CPUID - 1].reserved = 1;
	WANT_ERRNO(ioctl(g.vm, VMM_SET_CPUID, c), EINVAL);
	c->entry[VMM_MAX_CPUID - 1].reserved = 0;
	c->reserved = 1;
	WANT_ERRNO(ioctl(g.vm, VMM_SET_CPUID, c), EINVAL);
	c->reserved = 0;
	g.vcpu = ioctl(g.vm, VMM_CREATE_VCPU, 0);
	WANT(g.vcpu != -1);
	WANT_ERRNO(ioctl(g.vm, VMM_SET_CPUID, c), EBUSY);
}

/* Rows that are announced but not there. */
static void
test_set_cpuid_short(void)
{
	struct vmm_cpuid *c;
	struct guest g;
	char *edge;

	edge = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	WANT(edge != MAP_FAILED);
	WANT_ERRNO(munmap(edge + PAGE, PAGE), 0);
	c = (struct vmm_cpuid *)(edge + PAGE - offsetof(struct vmm_cpuid,
	    entry[2]));
	vmm_create(&g);
	c->count = 2;
	WANT_ERRNO(ioctl(g.vm, VMM_SET_CPUID, c), 0);
	c->count = 3;
	WANT_ERRNO(ioctl(g.vm, VMM_SET_CPUID, c), EFAULT);
}

static int
add(const struct guest *g, uint64_t gpa, uint64_t size, uint64_t address)
{
	return (vmm_memory(g, gpa, size, (void *)(uintptr_t)address));
}

static void
test_memory_fields(void)
{
	struct vmm_memory m = { .size = PAGE, .address = PAGE };
	struct guest g;

	vmm_create(&g);
	WANT_ERRNO(add(&g, 1, PAGE, PAGE), EINVAL);
	WANT_ERRNO(add(&g, PAGE - 1, PAGE, PAGE), EINVAL);
	WANT_ERRNO(add(&g, 0, PAGE + 1, PAGE), EINVAL);
	WANT_ERRNO(add(&g, 0, PAGE - 1, PAGE), EINVAL);
	WANT_ERRNO(add(&g, 0, PAGE, PAGE + 1), EINVAL);
	WANT_ERRNO(add(&g, 0, PAGE, PAGE - 1), EINVAL);
	WANT_ERRNO(add(&g, 0, 0, PAGE), EINVAL);
	m.flags = 1;
	WANT_ERRNO(ioctl(g.vm, VMM_SET_MEMORY, &m), EINVAL);
	m.flags = 0;
	m.reserved = 1;
	WANT_ERRNO(ioctl(g.vm, VMM_SET_MEMORY, &m), EINVAL);
	m.reserved = 0;
	WANT_ERRNO(ioctl(g.vm, VMM_SET_MEMORY, &m), 0);
	g.vcpu = ioctl(g.vm, VMM_CREATE_VCPU, 0);
	WANT(g.vcpu != -1);
	WANT_ERRNO(add(&g, PAGE, PAGE, PAGE), EBUSY);
}

static void
test_memory_space(void)
{
	struct guest g;

	vmm_create(&g);
	WANT_ERRNO(add(&g, GPA_END, PAGE, PAGE), EINVAL);
	WANT_ERRNO(add(&g, GPA_END - PAGE, 2 * PAGE, PAGE), EINVAL);
	WANT_ERRNO(add(&g, -PAGE, PAGE, PAGE), EINVAL);
	WANT_ERRNO(add(&g, PAGE, -PAGE, PAGE), EINVAL);
	WANT_ERRNO(add(&g, GPA_END - PAGE, PAGE, PAGE), 0);
	WANT_ERRNO(add(&g, 0, PAGE, USER_END), EINVAL);
	WANT_ERRNO(add(&g, 0, 2 * PAGE, USER_END - PAGE), EINVAL);
	WANT_ERRNO(add(&g, 0, PAGE, -PAGE), EINVAL);
	WANT_ERRNO(add(&g, 0, PAGE, USER_END - PAGE), 0);
}

static void
test_memory_limit(void)
{
	struct guest g, whole;

	vmm_create(&g);
	WANT_ERRNO(add(&g, 0, VMM_MAX_MEMORY + PAGE, PAGE), ENOSPC);
	WANT_ERRNO(add(&g, 0, VMM_MAX_MEMORY - PAGE, PAGE), 0);
	WANT_ERRNO(add(&g, VMM_MAX_MEMORY, 2 * PAGE, PAGE), ENOSPC);
	WANT_ERRNO(add(&g, VMM_MAX_MEMORY, PAGE, PAGE), 0);
	WANT_ERRNO(add(&g, 2 * VMM_MAX_MEMORY, PAGE, PAGE), ENOSPC);
	vmm_create(&whole);
	WANT_ERRNO(add(&whole, 0, VMM_MAX_MEMORY, PAGE), 0);
	WANT_ERRNO(add(&whole, VMM_MAX_MEMORY, PAGE, PAGE), ENOSPC);
}

static void
test_memory_overlap(void)
{
	const uint64_t lo = 0x100000, hi = 0x200000;
	struct guest g;

	vmm_create(&g);
	WANT_ERRNO(add(&g, lo, hi - lo, PAGE), 0);
	WANT_ERRNO(add(&g, lo, hi - lo, PAGE), EEXIST);
	WANT_ERRNO(add(&g, lo - PAGE, 2 * PAGE, PAGE), EEXIST);
	WANT_ERRNO(add(&g, hi - PAGE, 2 * PAGE, PAGE), EEXIST);
	WANT_ERRNO(add(&g, lo + PAGE, PAGE, PAGE), EEXIST);
	WANT_ERRNO(add(&g, lo - PAGE, hi - lo + 2 * PAGE, PAGE), EEXIST);
	WANT_ERRNO(add(&g, lo - PAGE, PAGE, PAGE), 0);
	WANT_ERRNO(add(&g, hi, PAGE, PAGE), 0);
	WANT_ERRNO(add(&g, lo - PAGE, PAGE, PAGE), EEXIST);
}

static void
test_memory_ranges(void)
{
	struct guest g;
	unsigned i;

	vmm_create(&g);
	for (i = 0; i < VMM_MAX_RANGES; i++)
		WANT_ERRNO(add(&g, i * PAGE, PAGE, PAGE), 0);
	WANT_ERRNO(add(&g, i * PAGE, PAGE, PAGE), ENOSPC);
}

static void
test_vcpu_id(void)
{
	struct guest g;
	int fd;

	vmm_create(&g);
	WANT_ERRNO(ioctl(g.vm, VMM_CREATE_VCPU, VMM_MAX_VCPUS), EINVAL);
	WANT_ERRNO(ioctl(g.vm, VMM_CREATE_VCPU, -1L), EINVAL);
	WANT_ERRNO(ioctl(g.vm, VMM_CREATE_VCPU, 1L << 32), EINVAL);
	WANT(ioctl(g.vm, VMM_CREATE_VCPU, 0) >= 0);
	WANT_ERRNO(ioctl(g.vm, VMM_CREATE_VCPU, 0), EEXIST);
	fd = ioctl(g.vm, VMM_CREATE_VCPU, VMM_MAX_VCPUS - 1);
	WANT(fd >= 0);
	close(fd);
	WANT_ERRNO(ioctl(g.vm, VMM_CREATE_VCPU, VMM_MAX_VCPUS - 1), EEXIST);
	WANT(ioctl(g.vm, VMM_CREATE_VCPU, 1) >= 0);
}

const struct test tests_setup[] = {
	{ "info",		test_info },
	{ "unknown-ioctl",	test_unknown },
	{ "no-argument",	test_no_argument },
	{ "bad-pointer",	test_bad_pointer },
	{ "get-cpuid",		test_get_cpuid },
	{ "set-cpuid",		test_set_cpuid },
	{ "set-cpuid-short",	test_set_cpuid_short },
	{ "memory-fields",	test_memory_fields },
	{ "memory-space",	test_memory_space },
	{ "memory-limit",	test_memory_limit },
	{ "memory-overlap",	test_memory_overlap },
	{ "memory-ranges",	test_memory_ranges },
	{ "vcpu-id",		test_vcpu_id },
	{ NULL,			NULL }
};
