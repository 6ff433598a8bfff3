/* SPDX-License-Identifier: ISC */
/*
 * hold vmm|kvm [COUNT]: makes guests and keeps them until killed.  Those of
 * vmm have memory that they have touched, and run for ever.
 *
 * Prints "holding" once all are there; says why if one cannot be made, and
 * exits with 2 for EBUSY, 1 for anything else.
 */
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel/vmm_uapi.h"

#define RAM_SIZE	(8UL << 20)
#define ENTRY		0x1000

static atomic_uint running;

static int
open_device(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd == -1)
		err(1, "%s", path);
	return (fd);
}

static void
hold_kvm(void)
{
	int dev = open_device("/dev/kvm");
	int vm = ioctl(dev, KVM_CREATE_VM, 0);

	if (vm == -1)
		err(errno == EBUSY ? 2 : 1, "KVM_CREATE_VM");
}

/*
 * Real mode with segments of 4 GiB: writes one byte to each page of RAM, says
 * so by an OUT, and spins.
 */
extern const uint8_t guest_code[], guest_code_end[];
__asm__(".pushsection .rodata\n"
    ".code16\n"
    "guest_code:\n"
    "mov $0x100000, %ebx\n"
    "1: movb $1, (%ebx)\n"
    "add $0x1000, %ebx\n"
    "cmp $0x800000, %ebx\n"
    "jb 1b\n"
    "out %al, $1\n"
    "2: jmp 2b\n"
    "guest_code_end:\n"
    ".code64\n"
    ".popsection\n");

static void *
run_guest(void *arg)
{
	const int vcpu = *(int *)arg;
	struct vmm_run *run;

	run = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	if (run == MAP_FAILED)
		err(1, "mmap");
	for (;;) {
		if (ioctl(vcpu, VMM_RUN, 0) == -1)
			err(1, "VMM_RUN");
		if (run->reason == VMM_EXIT_IO)
			atomic_fetch_add(&running, 1);
		else if (run->reason != VMM_EXIT_NONE)
			errx(1, "exit %u", run->reason);
	}
}

static void
start_guest(int vcpu)
{
	struct vmm_state s;
	pthread_t thread;
	int *arg = malloc(sizeof(*arg));
	int i;

	if (arg == NULL || ioctl(vcpu, VMM_GET_STATE, &s) == -1)
		err(1, "VMM_GET_STATE");
	for (i = VMM_ES; i <= VMM_GS; i++) {
		s.regs.seg[i].base = 0;
		s.regs.seg[i].selector = 0;
		s.regs.seg[i].limit = UINT32_MAX;
	}
	s.regs.rip = ENTRY;
	if (ioctl(vcpu, VMM_SET_STATE, &s) == -1)
		err(1, "VMM_SET_STATE");
	*arg = vcpu;
	errno = pthread_create(&thread, NULL, run_guest, arg);
	if (errno != 0)
		err(1, "pthread_create");
}

static void
hold_vmm(void)
{
	int dev = open_device("/dev/vmm");
	struct vmm_memory m = { .size = RAM_SIZE };
	uint8_t *ram;
	int vm, vcpu;

	vm = ioctl(dev, VMM_CREATE_VM, 0);
	if (vm == -1)
		err(errno == EBUSY ? 2 : 1, "VMM_CREATE_VM");
	ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ram == MAP_FAILED)
		err(1, "mmap");
	memcpy(ram + ENTRY, guest_code, guest_code_end - guest_code);
	m.address = (uintptr_t)ram;
	if (ioctl(vm, VMM_SET_MEMORY, &m) == -1)
		err(1, "VMM_SET_MEMORY");
	vcpu = ioctl(vm, VMM_CREATE_VCPU, 0);
	if (vcpu == -1)
		err(1, "VMM_CREATE_VCPU");
	start_guest(vcpu);
}

int
main(int argc, char **argv)
{
	unsigned i, count = argc > 2 ? atoi(argv[2]) : 1;

	if (argc < 2)
		errx(1, "usage: hold vmm|kvm [COUNT]");
	if (strcmp(argv[1], "kvm") == 0) {
		for (i = 0; i < count; i++)
			hold_kvm();
	} else {
		for (i = 0; i < count; i++)
			hold_vmm();
		while (atomic_load(&running) < count)
			usleep(1000);
	}
	puts("holding");
	fflush(stdout);
	for (;;)
		pause();
}
