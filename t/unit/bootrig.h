/* SPDX-License-Identifier: ISC */
/*
 * Files and guest memory for the tests of the boot loaders.
 */
#ifndef VMMD_BOOTRIG_H
#define VMMD_BOOTRIG_H

#include <sys/mman.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "devices/gmem.h"
#include "testhost.h"
#include "vmm/boot.h"
#include "vmm/hv.h"

#define MIB		((uint64_t)1 << 20)

static char	dir[] = "/tmp/check_boot.XXXXXX";
static char	kernel[64], initrd[64], err[200];
static struct gmem	gm;
static struct hv_regs	regs;

static inline uint64_t
get(uint64_t gpa, size_t len)
{
	uint64_t val = 0;

	ck_assert_int_eq(gmem_read(&gm, gpa, &val, len), 0);
	return val;
}

static inline void
write_file(const char *path, const void *p, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, p, len), (ssize_t)len);
	close(fd);
}

static inline void
free_ram(void)
{
	unsigned i;

	for (i = 0; i < gm.nranges; i++)
		munmap(gm.range[i].hva, gm.range[i].size);
	gm.nranges = 0;
}

static inline void
make_ram(uint64_t size)
{
	unsigned i;

	free_ram();
	gmem_layout(&gm, size);
	for (i = 0; i < gm.nranges; i++) {
		gm.range[i].hva = mmap(NULL, gm.range[i].size,
		    PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		ck_assert_ptr_ne(gm.range[i].hva, MAP_FAILED);
	}
}

static inline void
rig_make(uint64_t ram)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(kernel, sizeof(kernel), "%s/kernel", dir);
	snprintf(initrd, sizeof(initrd), "%s/initrd", dir);
	make_ram(ram);
}

static inline void
rig_free(void)
{
	free_ram();
	unlink(kernel);
	unlink(initrd);
	rmdir(dir);
}

static inline int
load(const char *initrd_path, const char *cmdline)
{
	struct boot_linux bl = {
		.kernel = kernel, .initrd = initrd_path, .cmdline = cmdline,
		.rsdp = 0xe0000,
	};

	err[0] = '\0';
	return boot_linux(&bl, &gm, &regs, err, sizeof(err));
}

static inline void
assert_says(int error, const char *what, const char *text)
{
	ck_assert_int_lt(error, 0);
	ck_assert_msg(strncmp(err, what, strlen(what)) == 0,
	    "\"%s\" does not begin with \"%s\"", err, what);
	ck_assert_msg(strstr(err, text) != NULL, "\"%s\" lacks \"%s\"", err,
	    text);
	ck_assert_ptr_null(strchr(err, '\n'));
}

#endif /* VMMD_BOOTRIG_H */
