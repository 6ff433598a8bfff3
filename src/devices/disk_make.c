/* SPDX-License-Identifier: ISC */
/*
 * New disk images: what they may be, and raw ones.  See disk_make.h.
 */
#include "devices/disk_make.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "devices/disk_local.h"
#include "devices/disk_qcow2.h"

#define NAME_LEN_MAX	1023u
#define ROOM_PIECE	(UINT64_C(64) << 20)

void
disk_make_init(struct disk_make *m, enum disk_kind kind, uint64_t size)
{
	*m = (struct disk_make){
		.kind = kind,
		.size = size,
		.cluster = 64 << 10,
		.version = 3,
		.refcount_bits = 16,
	};
}

static bool
is_power_of_2(uint64_t v)
{
	return v != 0 && (v & (v - 1)) == 0;
}

/* Bytes of the disk for which one L1 entry stands. */
static uint64_t
make_l2_span(const struct disk_make *m)
{
	return (uint64_t)m->cluster * (m->cluster / (m->extended ? 16 : 8));
}

uint64_t
disk_make_end(const struct disk_make *m)
{
	if (m->kind == DISK_QCOW2 && m->cluster <= 2 << 20)
		return make_l2_span(m) * (Q2_L1_MAX / 8);
	return UINT64_C(1) << 63;
}

static const char *
make_check_data(const struct disk_make *m)
{
	if (m->data == NULL)
		return m->raw_data ? "data_file_raw needs a data_file" : NULL;
	if (!disk_is_file_name(m->data))
		return "the name of the data file is that of no file";
	if (m->raw_data && m->behind != NULL)
		return "with an image behind, the data file cannot be raw";
	return NULL;
}

/* Those of other files, in the first cluster. */
static bool
make_names_fit(const struct disk_make *m)
{
	size_t behind = m->behind != NULL ? strlen(m->behind) : 0;
	size_t data = m->data != NULL ? strlen(m->data) : 0;

	return behind <= NAME_LEN_MAX && data <= NAME_LEN_MAX &&
	    (behind + data == 0 || behind + data + 256 <= m->cluster);
}

static const char *
make_check_qcow2(const struct disk_make *m)
{
	if (!is_power_of_2(m->cluster) || m->cluster < 512 ||
	    m->cluster > 2 << 20)
		return "clusters have 512 bytes to 2M, a power of two";
	if (!is_power_of_2(m->refcount_bits) || m->refcount_bits > 64)
		return "refcounts have 1, 2, 4, 8, 16, 32 or 64 bits";
	if (m->version < 3 && (m->refcount_bits != 16 || m->lazy ||
	    m->extended || m->zstd || m->data != NULL))
		return "version 0.10 has 16-bit refcounts and no other "
		    "features";
	if (m->extended && m->cluster < 16 << 10)
		return "extended L2 entries need clusters of at least 16K";
	if (m->behind != NULL && m->prealloc != DISK_PREALLOC_OFF)
		return "with an image behind nothing is preallocated";
	if (!make_names_fit(m))
		return "the names of other files are too long for the first "
		    "cluster";
	if (m->size >= disk_make_end(m))
		return "that is too large for clusters of this size";
	return make_check_data(m);
}

const char *
disk_make_check(const struct disk_make *m)
{
	if (m->size == 0 || m->size % DISK_SECTOR != 0)
		return "the size must be a multiple of 512 bytes";
	if (m->size > INT64_MAX)
		return "that is too large";
	if (m->kind == DISK_QCOW2)
		return make_check_qcow2(m);
	if (m->behind != NULL)
		return "a raw image has none behind it";
	if (m->prealloc == DISK_PREALLOC_METADATA)
		return "a raw image has no metadata";
	return NULL;
}

int
disk_make_goes_on(const struct disk_make *m)
{
	return m->stops != NULL && m->stops(m->stops_arg) ? -EINTR : 0;
}

/* Some file systems write all of it, and take long. */
int
disk_make_room(int fd, uint64_t off, uint64_t len, const struct disk_make *m)
{
	uint64_t n;
	int error = 0;

	for (; len != 0 && error == 0; off += n, len -= n) {
		n = len < ROOM_PIECE ? len : ROOM_PIECE;
		error = disk_make_goes_on(m);
		if (error == 0)
			error = -posix_fallocate(fd, (off_t)off, (off_t)n);
	}
	return error;
}

int
disk_make(int fd, int data, const struct disk_make *m)
{
	if (m->kind == DISK_QCOW2)
		return disk_qcow2_make(fd, data, m);
	if (ftruncate(fd, (off_t)m->size) == -1)
		return -errno;
	if (m->prealloc == DISK_PREALLOC_FALLOC)
		return disk_make_room(fd, 0, m->size, m);
	return 0;
}
