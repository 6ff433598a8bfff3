/* SPDX-License-Identifier: ISC */
/*
 * Block devices, Linux.
 */
#include <errno.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "devices/disk.h"
#include "devices/disk_device.h"

int
disk_device_info(int fd, struct disk_info *i)
{
	int logical, physical;
	uint64_t size;

	if (ioctl(fd, BLKGETSIZE64, &size) == -1 ||
	    ioctl(fd, BLKSSZGET, &logical) == -1 ||
	    ioctl(fd, BLKPBSZGET, &physical) == -1)
		return -errno;
	if (logical < DISK_SECTOR || logical % DISK_SECTOR != 0 ||
	    physical < logical || size % (unsigned)logical != 0)
		return -EINVAL;
	i->size = size;
	i->block_size = (uint32_t)logical;
	i->physical_size = (uint32_t)physical;
	return 0;
}
