/* SPDX-License-Identifier: ISC */
/* The smallest file that the loader takes for a Linux kernel. */
#ifndef VMMD_TINYKERNEL_H
#define VMMD_TINYKERNEL_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Makes `file`, or overwrites it: 0 or -errno. */
static inline int
tiny_kernel_write(const char *file)
{
	static uint8_t k[2048];
	uint64_t pref = 16 << 20;
	FILE *f;
	int error = 0;

	k[0x1f1] = 1;				/* setup_sects */
	k[0x1f4] = 64;				/* syssize, of 16 bytes */
	memcpy(k + 0x1fe, "\x55\xaa\xeb\x6a", 4);
	memcpy(k + 0x202, "HdrS\x0f\x02", 6);
	k[0x211] = 1;				/* loadflags: loaded high */
	k[0x236] = 1;				/* xloadflags: 64-bit entry */
	k[0x239] = 1;				/* cmdline_size: 256 */
	memcpy(k + 0x258, &pref, sizeof(pref));
	f = fopen(file, "w");
	if (f == NULL)
		return -errno;
	if (fwrite(k, sizeof(k), 1, f) != 1)
		error = -EIO;
	if (fclose(f) != 0)
		error = -errno;
	return error;
}

#endif /* VMMD_TINYKERNEL_H */
