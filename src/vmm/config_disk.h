/* SPDX-License-Identifier: ISC */
/*
 * A guest's disk in the configuration: plain data.
 */
#ifndef VMMD_CONFIG_DISK_H
#define VMMD_CONFIG_DISK_H

#include <stdbool.h>
#include <stddef.h>

#include "devices/disk.h"
#include "devices/virtio_blk.h"

struct buf;
struct vm_config;

struct vm_disk {
	/* A change of these counts with the next start. */
	char			*path;
	struct disk_how		 how;

	/* A change of these counts at once. */
	struct virtio_blk_policy policy;
};

/*
 * Reads an option, "NAME" or "NAME=VALUE", which it cuts up; `seen` has a bit
 * for each so far.  0, or -EINVAL and what is wrong in `err`.
 */
int disk_option(struct vm_disk *d, char *word, unsigned *seen, char *err,
    size_t errlen);

/* Appends all disks of a guest, separated by ", ", or "-"; 0 or -errno. */
int disks_print(const struct vm_config *vm, struct buf *b);

bool disks_equal(const struct vm_config *a, const struct vm_config *b);

/* Do the two differ only in what may change at once? */
bool disks_alike(const struct vm_config *a, const struct vm_config *b);

/* Takes over what may, of disks that are alike. */
void disks_set_live(struct vm_config *vm, const struct vm_config *from);

#endif /* VMMD_CONFIG_DISK_H */
