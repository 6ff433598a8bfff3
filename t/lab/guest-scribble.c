/* SPDX-License-Identifier: ISC */
/*
 * The driver from hell: what a guest can do to its own virtio disks by ports,
 * rings and configuration space.
 *
 * usage: guest-scribble SEED MILLISECONDS
 *
 * Takes the last virtio disk of the bus, which no driver may hold, through a
 * list of games, each for so long and each followed by a reset and one honest
 * read: so a device that is lost for good is noticed, and so is a game that
 * never reached it.  The last game, "wild", takes all devices and all of
 * memory, from which the guest need not recover.
 *
 * Rings and buffers are pages of our own, whose addresses pagemap tells.
 */
#include <sys/io.h>
#include <sys/mman.h>

#include <err.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PAGE		4096u
#define DEVICES_MAX	8

#define VENDOR_VIRTIO	0x1af4
#define DEVICE_BLOCK	0x1042

#define CFG_COMMAND	0x04
#define CFG_BAR0	0x10

/* Offsets into the BAR, as the capabilities of the device say. */
#define REG_FEATURE_SELECT	0x08	/* the driver's */
#define REG_FEATURE		0x0c
#define REG_STATUS		0x14
#define REG_QUEUE_SELECT	0x16
#define REG_QUEUE_SIZE		0x18
#define REG_QUEUE_ENABLE	0x1c
#define REG_QUEUE_DESC		0x20
#define REG_QUEUE_AVAIL		0x28
#define REG_QUEUE_USED		0x30
#define REG_ISR			0x40
#define REG_NOTIFY		0x100
#define BAR_SIZE		0x200

#define S_ACKNOWLEDGE	1
#define S_DRIVER	2
#define S_DRIVER_OK	4
#define S_FEATURES_OK	8
#define S_NEEDS_RESET	64

/* INDIRECT_DESC and EVENT_IDX; VERSION_1 in the upper half. */
#define FEATURES_LOW	(3u << 28)
#define FEATURES_HIGH	1u

#define D_NEXT		1
#define D_WRITE		2
#define D_INDIRECT	4

#define QUEUE_SIZE	256

struct desc {
	uint64_t	addr;
	uint32_t	len;
	uint16_t	flags;
	uint16_t	next;
};

/* What is a page each: pages need not be neighbours in guest memory. */
enum page { P_DESC, P_AVAIL, P_USED, P_TABLE, P_HEAD, P_DATA, NPAGES };

/* A device, and the registers as the kernel has set them. */
struct pci_fn {
	unsigned	slot;
	uint32_t	bar;
	uint32_t	command;
};

struct scribbler {
	struct pci_fn	 device[DEVICES_MAX];
	unsigned	 ndevices;
	struct pci_fn	*dev;		/* the one played with */
	uint8_t		*page[NPAGES];
	uint64_t	 phys[NPAGES];
	uint64_t	 seed;
	bool		 wild;		/* any address will do */
};

static uint32_t
rnd(struct scribbler *s)
{
	s->seed ^= s->seed << 13;
	s->seed ^= s->seed >> 7;
	s->seed ^= s->seed << 17;
	return (uint32_t)(s->seed >> 16);
}

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static uint32_t
cfg_read(unsigned slot, unsigned reg)
{
	outl(1u << 31 | slot << 11 | reg, 0xcf8);
	return inl(0xcfc);
}

static void
cfg_write(unsigned slot, unsigned reg, uint32_t val)
{
	outl(1u << 31 | slot << 11 | reg, 0xcf8);
	outl(val, 0xcfc);
}

static void
out_reg(struct scribbler *s, unsigned reg, unsigned size, uint32_t val)
{
	unsigned short port = (unsigned short)(s->dev->bar + reg);

	if (size == 1)
		outb((unsigned char)val, port);
	else if (size == 2)
		outw((unsigned short)val, port);
	else
		outl(val, port);
}

static void
out_addr(struct scribbler *s, unsigned reg, uint64_t addr)
{
	out_reg(s, reg, 4, (uint32_t)addr);
	out_reg(s, reg + 4, 4, (uint32_t)(addr >> 32));
}

static uint8_t
status(struct scribbler *s)
{
	return inb((unsigned short)(s->dev->bar + REG_STATUS));
}

static void
find_devices(struct scribbler *s)
{
	struct pci_fn *d;
	unsigned slot;
	uint32_t id;

	for (slot = 0; slot < 32 && s->ndevices < DEVICES_MAX; slot++) {
		id = cfg_read(slot, 0);
		if ((id & 0xffff) != VENDOR_VIRTIO)
			continue;
		d = &s->device[s->ndevices++];
		d->slot = slot;
		d->bar = cfg_read(slot, CFG_BAR0) & ~3u;
		d->command = cfg_read(slot, CFG_COMMAND) & 0xffff;
		if (id >> 16 == DEVICE_BLOCK)
			s->dev = d;
	}
	if (s->dev == NULL)
		errx(1, "no virtio disk");
}

static void
make_pages(struct scribbler *s)
{
	uint64_t entry;
	uint8_t *p;
	int fd, i;

	fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	p = mmap(NULL, NPAGES * PAGE, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED | MAP_POPULATE, -1, 0);
	if (fd == -1 || p == MAP_FAILED)
		err(1, "memory");
	for (i = 0; i < NPAGES; i++) {
		s->page[i] = p + i * PAGE;
		if (pread(fd, &entry, sizeof(entry), (off_t)((uintptr_t)
		    s->page[i] / PAGE * sizeof(entry))) != sizeof(entry))
			err(1, "pagemap");
		/* Bits 54:0: the frame, if we may know it. */
		s->phys[i] = (entry & ((1ull << 55) - 1)) * PAGE;
		if (s->phys[i] == 0)
			errx(1, "pagemap tells nothing");
	}
	close(fd);
}

/* Where there is no memory of ours, or, in the wild, perhaps some. */
static uint64_t
bad_addr(struct scribbler *s)
{
	static const uint64_t addr[] = {
		UINT64_MAX, UINT64_MAX - 15, 1ull << 63, 1ull << 52,
		0xfffff000, 0xfee00000, 0xc0000000, 1ull << 32, 0xa0000,
		0xbffffff0, (1ull << 40) - 1,
	};

	if (s->wild && rnd(s) % 2 == 0)
		return rnd(s) % (256u << 20);
	return addr[rnd(s) % (sizeof(addr) / sizeof(addr[0]))];
}

static void
negotiate(struct scribbler *s)
{
	out_reg(s, REG_STATUS, 1, 0);
	out_reg(s, REG_STATUS, 1, S_ACKNOWLEDGE | S_DRIVER);
	out_reg(s, REG_FEATURE_SELECT, 4, 0);
	out_reg(s, REG_FEATURE, 4, FEATURES_LOW);
	out_reg(s, REG_FEATURE_SELECT, 4, 1);
	out_reg(s, REG_FEATURE, 4, FEATURES_HIGH);
	out_reg(s, REG_STATUS, 1, S_ACKNOWLEDGE | S_DRIVER | S_FEATURES_OK);
	out_reg(s, REG_QUEUE_SELECT, 2, 0);
}

static void
start_queue(struct scribbler *s, uint64_t desc, uint64_t avail, uint64_t used)
{
	out_addr(s, REG_QUEUE_DESC, desc);
	out_addr(s, REG_QUEUE_AVAIL, avail);
	out_addr(s, REG_QUEUE_USED, used);
	out_reg(s, REG_QUEUE_ENABLE, 2, 1);
	out_reg(s, REG_STATUS, 1, S_ACKNOWLEDGE | S_DRIVER | S_FEATURES_OK |
	    S_DRIVER_OK);
}

static void
start_own_queue(struct scribbler *s)
{
	int i;

	negotiate(s);
	out_reg(s, REG_QUEUE_SIZE, 2, QUEUE_SIZE);
	for (i = 0; i < NPAGES; i++)
		memset(s->page[i], 0, PAGE);
	start_queue(s, s->phys[P_DESC], s->phys[P_AVAIL], s->phys[P_USED]);
}

static volatile uint16_t *
avail_idx(struct scribbler *s)
{
	return (volatile uint16_t *)(s->page[P_AVAIL] + 2);
}

static volatile uint16_t *
used_idx(struct scribbler *s)
{
	return (volatile uint16_t *)(s->page[P_USED] + 2);
}

/* What an honest driver does: reads the first sector. */
static bool
honest_read(struct scribbler *s)
{
	struct desc *d = (struct desc *)s->page[P_DESC];
	double until = now() + 20;

	start_own_queue(s);
	d[0] = (struct desc){ s->phys[P_HEAD], 16, D_NEXT, 1 };
	d[1] = (struct desc){ s->phys[P_DATA], 512, D_NEXT | D_WRITE, 2 };
	d[2] = (struct desc){ s->phys[P_HEAD] + 64, 1, D_WRITE, 0 };
	s->page[P_HEAD][64] = 0xff;
	*avail_idx(s) = 1;
	out_reg(s, REG_NOTIFY, 2, 0);
	while (*used_idx(s) == 0 && now() < until)
		usleep(1000);
	return *used_idx(s) == 1 && s->page[P_HEAD][64] == 0 &&
	    (status(s) & S_NEEDS_RESET) == 0;
}

/* Status in any order, features that were never offered. */
static void
play_status(struct scribbler *s)
{
	if (rnd(s) % 4 == 0)
		negotiate(s);
	if (rnd(s) % 2 == 0) {
		out_reg(s, REG_FEATURE_SELECT, 4, rnd(s) % 4);
		out_reg(s, REG_FEATURE, 4, rnd(s));
	}
	out_reg(s, REG_STATUS, 1, rnd(s) % 3 == 0 ? rnd(s) : rnd(s) & 0xf);
	(void)status(s);
	out_reg(s, REG_NOTIFY, 2, 0);
	(void)inb((unsigned short)(s->dev->bar + REG_ISR));
}

/* Queues that do not exist, of sizes that cannot be, where nothing is. */
static void
play_queues(struct scribbler *s)
{
	static const uint16_t size[] = { 0, 1, 3, 255, 256, 257, 512, 0x8000,
	    0xffff };
	uint64_t addr[3] = { s->phys[P_DESC], s->phys[P_AVAIL],
	    s->phys[P_USED] };

	negotiate(s);
	memset(s->page[P_AVAIL], 0xff, PAGE);
	out_reg(s, REG_QUEUE_SELECT, 2, rnd(s) % 4 == 0 ? rnd(s) : 0);
	out_reg(s, REG_QUEUE_SIZE, 2, size[rnd(s) % 9]);
	addr[rnd(s) % 3] = bad_addr(s);
	if (rnd(s) % 4 == 0)
		addr[rnd(s) % 3] |= rnd(s) % 16;
	start_queue(s, addr[0], addr[1], addr[2]);
	out_reg(s, REG_NOTIFY, 2, 0);
	out_reg(s, REG_NOTIFY + 2 * (rnd(s) % 4), 2, rnd(s));
	(void)status(s);
}

/*
 * A descriptor that points to where it should not, or with a length, a flag
 * or a successor of no sense.  What it lets the device write to is the data
 * page and no more.
 */
static struct desc
random_desc(struct scribbler *s)
{
	static const uint32_t len[] = { 0, 1, 15, 16, 17, 511, 512, 513, 1024,
	    PAGE, PAGE + 1, 1u << 20, 1u << 31, UINT32_MAX };
	static const enum page readable[] = { P_HEAD, P_TABLE, P_DESC };
	struct desc d = {
		.len = len[rnd(s) % 14],
		.flags = rnd(s) % 8,
		.next = rnd(s) % 4 == 0 ? rnd(s) : rnd(s) % 8,
	};

	if (rnd(s) % 16 == 0) {
		d.addr = bad_addr(s);
	} else if ((d.flags & D_WRITE) != 0) {
		d.addr = s->phys[P_DATA];
		d.len %= PAGE + 1;
	} else {
		d.addr = s->phys[readable[rnd(s) % 3]];
	}
	return d;
}

static void
scribble_page(struct scribbler *s, enum page p, unsigned n)
{
	struct desc *d = (struct desc *)s->page[p];

	while (n-- > 0)
		d[n] = random_desc(s);
}

/* A header that begins a chain, and chains that then go wrong. */
static void
play_chains(struct scribbler *s)
{
	struct desc *d = (struct desc *)s->page[P_DESC];
	uint32_t *head = (uint32_t *)s->page[P_HEAD];
	int i;

	start_own_queue(s);
	scribble_page(s, P_DESC, 8);
	scribble_page(s, P_TABLE, 8);
	head[0] = rnd(s) % 12;
	head[2] = rnd(s) % 4 == 0 ? rnd(s) : 0;
	head[3] = rnd(s) % 8 == 0 ? rnd(s) : 0;
	d[0] = (struct desc){ s->phys[P_HEAD], 16, D_NEXT, 1 };
	if (rnd(s) % 3 == 0)
		d[0] = (struct desc){ s->phys[P_TABLE], 16 * (rnd(s) % 9),
		    D_INDIRECT, 0 };
	*avail_idx(s) = rnd(s) % 8 == 0 ? rnd(s) : 1;
	out_reg(s, REG_NOTIFY, 2, 0);
	/* While the device reads them. */
	for (i = 0; i < 20; i++)
		d[rnd(s) % 8] = random_desc(s);
	*avail_idx(s) += 1;
	out_reg(s, REG_NOTIFY, 2, 0);
}

/* Notifications without end, with and without something to do. */
static void
play_storm(struct scribbler *s)
{
	unsigned i;

	start_own_queue(s);
	for (i = 0; i < 500; i++) {
		out_reg(s, REG_NOTIFY, 2, i);
		if (i % 100 == 0)
			*avail_idx(s) += 1;
	}
	for (i = 0; i < 16; i++)
		out_reg(s, REG_NOTIFY + rnd(s) % 0x100, 1u << rnd(s) % 3,
		    rnd(s));
}

/* BARs elsewhere, on top of others, nowhere; I/O switched off amid it. */
static void
play_bars(struct scribbler *s)
{
	static const uint32_t bar[] = { 0, 0xffffffff, 0x3f8, 0x20, 0xcf8,
	    0x60, 0xff00, 0xfffe, 0x10000, 0xc000 };
	unsigned slot = s->dev->slot, i;

	start_own_queue(s);
	for (i = 0; i < 20; i++) {
		cfg_write(slot, CFG_COMMAND, rnd(s) % 8);
		cfg_write(slot, CFG_BAR0 + 4 * (rnd(s) % 6), bar[rnd(s) % 10]);
		if (rnd(s) % 4 == 0)
			cfg_write(slot, CFG_BAR0, s->device[0].bar);
		cfg_write(slot, CFG_COMMAND, 1);
		cfg_write(slot, CFG_COMMAND, 0);
		out_reg(s, REG_NOTIFY, 2, 0);
		(void)status(s);
		/* With the capability that is a window to the BAR. */
		cfg_write(slot, rnd(s) & 0xfc, rnd(s));
		(void)cfg_read(slot, rnd(s) & 0xfc);
	}
}

/* All of it at once, at every device, with all of memory to write to. */
static void
play_wild(struct scribbler *s)
{
	static void (*const play[])(struct scribbler *) = { play_status,
	    play_queues, play_chains, play_storm, play_bars };
	unsigned i;

	s->dev = &s->device[rnd(s) % s->ndevices];
	play[rnd(s) % 5](s);
	for (i = 0; i < 200; i++)
		out_reg(s, rnd(s) % BAR_SIZE, 1u << rnd(s) % 3, rnd(s));
}

/* Puts things back to where the kernel had them. */
static void
restore(struct scribbler *s)
{
	unsigned i;

	for (i = 0; i < s->ndevices; i++) {
		cfg_write(s->device[i].slot, CFG_COMMAND, 0);
		cfg_write(s->device[i].slot, CFG_BAR0, s->device[i].bar);
		cfg_write(s->device[i].slot, CFG_COMMAND, s->device[i].command);
	}
}

static void
game(struct scribbler *s, const char *name, void (*play)(struct scribbler *),
    double seconds)
{
	double until = now() + seconds;
	unsigned long n = 0;

	printf("scribble: %s\n", name);
	fflush(stdout);
	for (; now() < until; n++)
		play(s);
	restore(s);
	if (s->wild)
		return;
	if (!honest_read(s))
		errx(1, "%s: the device is lost, status %#x", name, status(s));
	printf("scribble: %s done, %lu times, and the disk is back\n", name,
	    n);
	fflush(stdout);
}

int
main(int argc, char *argv[])
{
	struct scribbler hell = { .ndevices = 0 }, *s = &hell;
	double seconds;

	if (argc != 3)
		errx(2, "usage: guest-scribble SEED MILLISECONDS");
	s->seed = strtoull(argv[1], NULL, 0) | 1ull << 32;
	seconds = strtod(argv[2], NULL) / 1e3;
	if (iopl(3) == -1)
		err(1, "iopl");
	find_devices(s);
	make_pages(s);
	game(s, "status", play_status, seconds);
	game(s, "queues", play_queues, seconds);
	game(s, "chains", play_chains, seconds);
	game(s, "storm", play_storm, seconds);
	game(s, "bars", play_bars, seconds);
	printf("scribble: survived all\n");
	fflush(stdout);
	s->wild = true;
	game(s, "wild", play_wild, seconds);
	return 0;
}
