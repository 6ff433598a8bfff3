/* SPDX-License-Identifier: ISC */
/*
 * Writes a word of 16 bits to a port so many times, such as a virtio queue's
 * notify port.
 *
 * usage: guest-ring PORT COUNT
 */
#include <sys/io.h>

#include <err.h>
#include <stdlib.h>

int
main(int argc, char *argv[])
{
	unsigned long n, port;

	if (argc != 3)
		errx(2, "usage: guest-ring PORT COUNT");
	if (iopl(3) == -1)
		err(1, "iopl");
	port = strtoul(argv[1], NULL, 0);
	for (n = strtoul(argv[2], NULL, 0); n > 0; n--)
		outw(0, (unsigned short)port);
	return 0;
}
