/* SPDX-License-Identifier: ISC */
/*
 * Locks on disk images, Linux: open file description locks and flock(2).
 * Neither belongs to the process, so that another descriptor of the file
 * closed elsewhere does not drop it.
 *
 * The former are those of QEMU and its tools: for each thing that somebody
 * does with an image one byte is locked, for each that he bears nobody else to
 * do another one, all of them shared.  Who comes locks his own, and then looks
 * for what does not agree with them: two who come at once may be refused both.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

#include "devices/disk_lock.h"

/* Where the bytes of what is done are, and those of what is not borne. */
#define DOES		100
#define BEARS_NOT	200

/* What is done, as bits of a mask and numbers of bytes. */
#define READS		0
#define WRITES		1
#define RESIZES		3
#define BIT(n)		(1u << (n))
#define NBITS		4

static struct flock
one_byte(short type, off_t at)
{
	return (struct flock){
		.l_type = type,
		.l_whence = SEEK_SET,
		.l_start = at,
		.l_len = 1,
	};
}

static int
lock_byte(int fd, off_t at)
{
	struct flock fl = one_byte(F_RDLCK, at);

	if (fcntl(fd, F_OFD_SETLK, &fl) == -1)
		return errno == EACCES ? -EAGAIN : -errno;
	return 0;
}

/* -EAGAIN if anybody else has locked the byte. */
static int
look_at_byte(int fd, off_t at)
{
	struct flock fl = one_byte(F_WRLCK, at);

	if (fcntl(fd, F_OFD_GETLK, &fl) == -1)
		return -errno;
	return fl.l_type == F_UNLCK ? 0 : -EAGAIN;
}

/* Has fn() see to each byte from `base` on that is in the mask. */
static int
each_byte(int (*fn)(int, off_t), int fd, off_t base, unsigned mask)
{
	int n, error = 0;

	for (n = 0; n < NBITS && error == 0; n++)
		if ((mask & BIT(n)) != 0)
			error = fn(fd, base + n);
	return error;
}

int
disk_lock(int fd, bool shared)
{
	unsigned does = BIT(READS) | (shared ? 0 : BIT(WRITES));
	unsigned bears_not = BIT(WRITES) | BIT(RESIZES) |
	    (shared ? 0 : BIT(READS));
	int error;

	error = each_byte(lock_byte, fd, DOES, does);
	if (error == 0)
		error = each_byte(lock_byte, fd, BEARS_NOT, bears_not);
	if (error == 0)
		error = each_byte(look_at_byte, fd, BEARS_NOT, does);
	if (error == 0)
		error = each_byte(look_at_byte, fd, DOES, bears_not);
	if (error == 0 &&
	    flock(fd, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB) == -1)
		error = -errno;
	return error;
}
