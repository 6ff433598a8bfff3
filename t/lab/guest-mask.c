/* SPDX-License-Identifier: ISC */
/*
 * Masks and unmasks the vectors of a PCI device behind its driver's back, one
 * by one in the table and all by the capability, while the driver works.
 *
 * usage: guest-mask DEVICE MILLISECONDS
 *
 * DEVICE is its directory in sysfs.  Prints how often it masked, and how often
 * an interrupt was pending before it unmasked; afterwards nothing is masked
 * that was not before, and nothing may be pending.
 */
#include <sys/mman.h>

#include <err.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define CAPS		0x34
#define CAP_MSIX	0x11
#define CONTROL_MASK	0x4000
#define CONTROL_ENABLE	0x8000
#define VECTORS_MAX	64		/* one qword of pending bits */

struct table {
	int			 config;
	unsigned		 cap;
	uint16_t		 control;
	unsigned		 n;
	volatile uint32_t	*entry;
	volatile uint32_t	*pba;
	bool			 ours[VECTORS_MAX];	/* not masked before */
};

static uint32_t
config_read(int fd, unsigned off, size_t size)
{
	uint32_t val = 0;

	if (pread(fd, &val, size, off) != (ssize_t)size)
		err(1, "configuration at %x", off);
	return val;
}

static void
control_write(struct table *t, uint16_t val)
{
	if (pwrite(t->config, &val, sizeof(val), t->cap + 2) != sizeof(val))
		err(1, "control");
}

static void
open_table(struct table *t, const char *device)
{
	uint32_t table, pba;
	char path[256];
	unsigned i;
	char *bar;
	int fd;

	snprintf(path, sizeof(path), "%s/config", device);
	t->config = open(path, O_RDWR);
	if (t->config == -1)
		err(1, "%s", path);
	t->cap = config_read(t->config, CAPS, 1);
	while (t->cap != 0 && config_read(t->config, t->cap, 1) != CAP_MSIX)
		t->cap = config_read(t->config, t->cap + 1, 1);
	if (t->cap == 0)
		errx(1, "%s has no MSI-X", device);
	t->control = (uint16_t)config_read(t->config, t->cap + 2, 2);
	t->n = (t->control & 0x7ff) + 1;
	if ((t->control & CONTROL_ENABLE) == 0 || t->n > VECTORS_MAX)
		errx(1, "MSI-X is off, or has too many vectors");
	table = config_read(t->config, t->cap + 4, 4);
	pba = config_read(t->config, t->cap + 8, 4);
	snprintf(path, sizeof(path), "%s/resource%u", device, table & 7);
	fd = open(path, O_RDWR);
	if (fd == -1)
		err(1, "%s", path);
	bar = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (bar == MAP_FAILED)
		err(1, "mmap %s", path);
	t->entry = (volatile uint32_t *)(bar + (table & ~7u));
	t->pba = (volatile uint32_t *)(bar + (pba & ~7u));
	for (i = 0; i < t->n; i++)
		t->ours[i] = (t->entry[4 * i + 3] & 1) == 0;
}

static void
mask(struct table *t, bool all, bool on)
{
	unsigned i;

	if (all)
		control_write(t, t->control | (on ? CONTROL_MASK : 0));
	else
		for (i = 0; i < t->n; i++)
			if (t->ours[i])
				t->entry[4 * i + 3] = on;
}

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int
main(int argc, char *argv[])
{
	unsigned long masks = 0, waited = 0;
	struct table t = { 0 };
	double end;

	if (argc != 3)
		errx(2, "usage: guest-mask DEVICE MILLISECONDS");
	open_table(&t, argv[1]);
	end = now() + strtod(argv[2], NULL) / 1000;
	while (now() < end) {
		mask(&t, masks % 3 == 0, true);
		/* Mostly at once, sometimes after the others had a turn. */
		if (masks % 4 == 0)
			usleep(1000);
		waited += t.pba[0] != 0;
		mask(&t, masks % 3 == 0, false);
		if (masks % 8 == 0)
			usleep(1000);
		masks++;
	}
	printf("guest-mask: %lu masks, %lu waited, pending %x\n", masks,
	    waited, (unsigned)t.pba[0]);
	return 0;
}
