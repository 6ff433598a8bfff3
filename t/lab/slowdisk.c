/* SPDX-License-Identifier: ISC */
/*
 * A disk of the host's that stalls: serves a network block device from a file,
 * one request after another, and while the file STALL is there, each read is
 * answered only after so many seconds.
 *
 * usage: slowdisk DEVICE FILE STALL SECONDS
 *
 * For each such read it writes a line, "stalls" and the offset.  It ends with
 * the device's connection.
 */
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <endian.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/nbd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK		512
#define LENGTH_MAX	(32u << 20)

static void
whole(ssize_t n, size_t want)
{
	if (n < 0)
		err(1, "connection");
	/* The device is given up. */
	if ((size_t)n != want)
		exit(0);
}

/* As much as there is to come. */
static void
receive(int sock, void *p, size_t len)
{
	whole(recv(sock, p, len, MSG_WAITALL), len);
}

static int
perform(int fd, uint32_t type, void *buf, size_t len, uint64_t from)
{
	switch (type) {
	case NBD_CMD_READ:
		return pread(fd, buf, len, (off_t)from) == (ssize_t)len ? 0 :
		    EIO;
	case NBD_CMD_WRITE:
		return pwrite(fd, buf, len, (off_t)from) == (ssize_t)len ? 0 :
		    EIO;
	case NBD_CMD_FLUSH:
		return 0;
	default:
		return EINVAL;
	}
}

static void
stall(uint64_t from, unsigned seconds)
{
	printf("stalls %" PRIu64 "\n", from);
	fflush(stdout);
	sleep(seconds);
}

static void
serve(int sock, int fd, const char *file, unsigned seconds)
{
	uint8_t *buf = malloc(LENGTH_MAX);
	struct nbd_request q;
	struct nbd_reply a;
	uint32_t type;
	uint64_t from;
	size_t len;

	if (buf == NULL)
		err(1, NULL);
	while (true) {
		receive(sock, &q, sizeof(q));
		type = be32toh(q.type) & 0xffff;
		from = be64toh(q.from);
		len = be32toh(q.len);
		if (type == NBD_CMD_DISC)
			exit(0);
		if (len > LENGTH_MAX)
			errx(1, "%zu bytes", len);
		if (type == NBD_CMD_WRITE)
			receive(sock, buf, len);
		if (type == NBD_CMD_READ && access(file, F_OK) == 0)
			stall(from, seconds);
		a.magic = htobe32(NBD_REPLY_MAGIC);
		a.error = htobe32((uint32_t)perform(fd, type, buf, len, from));
		memcpy(a.handle, q.handle, sizeof(a.handle));
		whole(send(sock, &a, sizeof(a), 0), sizeof(a));
		if (type == NBD_CMD_READ && a.error == 0)
			whole(send(sock, buf, len, 0), len);
	}
}

/* The kernel's end: this does not return while the device is connected. */
static void
connect_device(int device, int sock, const struct stat *st)
{
	if (ioctl(device, NBD_SET_BLKSIZE, BLOCK) == -1 ||
	    ioctl(device, NBD_SET_SIZE_BLOCKS, st->st_size / BLOCK) == -1 ||
	    ioctl(device, NBD_SET_FLAGS,
	    NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH) == -1 ||
	    ioctl(device, NBD_SET_SOCK, sock) == -1)
		err(1, "device");
	if (ioctl(device, NBD_DO_IT) == -1)
		err(1, "connection");
}

int
main(int argc, char **argv)
{
	int device, fd, sock[2];
	struct stat st;

	if (argc != 5)
		errx(2, "usage: slowdisk DEVICE FILE STALL SECONDS");
	device = open(argv[1], O_RDWR);
	fd = open(argv[2], O_RDWR);
	if (device == -1 || fd == -1 || fstat(fd, &st) == -1)
		err(1, "%s, %s", argv[1], argv[2]);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sock) == -1)
		err(1, "socketpair");
	switch (fork()) {
	case -1:
		err(1, "fork");
	case 0:
		close(sock[1]);
		connect_device(device, sock[0], &st);
		return 0;
	default:
		close(sock[0]);
		close(device);
		serve(sock[1], fd, argv[3], (unsigned)atoi(argv[4]));
	}
}
