/* SPDX-License-Identifier: ISC */
/*
 * What the host knows of a block device.
 */
#ifndef VMMD_DISK_DEVICE_H
#define VMMD_DISK_DEVICE_H

struct disk_info;

/* Fills in size and blocks of an open block device: 0 or -errno. */
int disk_device_info(int fd, struct disk_info *i);

#endif /* VMMD_DISK_DEVICE_H */
