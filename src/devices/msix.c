/* SPDX-License-Identifier: ISC */
/*
 * MSI-X: see msix.h.
 */
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/event.h"
#include "devices/msix.h"
#include "devices/pci_regs.h"
#include "devices/state.h"

#define PCI_CAP_MSIX		0x11

/* The capability (section 6.8.2.3 and on). */
struct msix_cap {
	uint8_t		id;
	uint8_t		next;
	uint16_t	control;	/* and the number of vectors less one */
	uint32_t	table;		/* offset in the BAR, and which it is */
	uint32_t	pba;
};
_Static_assert(sizeof(struct msix_cap) == 12, "MSI-X capability");
#define MSIX_CONTROL		offsetof(struct msix_cap, control)
#define  MSIX_CONTROL_MASK_ALL	0x4000
#define  MSIX_CONTROL_ENABLE	0x8000

/* An entry of the table (6.8.2.6 and on), in dwords. */
#define MSIX_ENTRY_SIZE		16
enum {
	MSIX_ADDR,		/* a multiple of four */
	MSIX_ADDR_HIGH,
	MSIX_DATA,
	MSIX_VECTOR_CONTROL,
	MSIX_ENTRY_WORDS,
};
#define MSIX_VECTOR_MASKED	0x1

/* A page of its own: a guest may give the others' to its programs. */
#define MSIX_BAR_MIN		4096

struct msix_vector {
	uint32_t	word[MSIX_ENTRY_WORDS];
	int		fd;		/* -1: it has no use yet */
	bool		bound;		/* signals become messages */
};

struct msix {
	const struct dev_host	*host;
	struct pci_dev		*pdev;
	uint8_t			 cap;		/* its offset */
	unsigned		 slot;		/* of vector 0 */
	uint32_t		 pba;		/* offset; the BAR's half */
	unsigned		 n;
	struct msix_vector	 vector[];
};

struct msix_vector_state {
	uint32_t	word[MSIX_ENTRY_WORDS];
	uint32_t	pending;
};
_Static_assert(sizeof(struct msix_vector_state) == 20, "no hidden padding");

static uint16_t
msix_control(const struct msix *x)
{
	return pci_get16(x->pdev->config + x->cap + MSIX_CONTROL);
}

bool
msix_enabled(const struct msix *x)
{
	return (msix_control(x) & MSIX_CONTROL_ENABLE) != 0;
}

static bool
msix_open(const struct msix *x, const struct msix_vector *v)
{
	return (msix_control(x) & (MSIX_CONTROL_ENABLE |
	    MSIX_CONTROL_MASK_ALL)) == MSIX_CONTROL_ENABLE &&
	    (v->word[MSIX_VECTOR_CONTROL] & MSIX_VECTOR_MASKED) == 0;
}

static int
msix_bind(const struct msix *x, const struct msix_vector *v, bool on)
{
	uint64_t addr = v->word[MSIX_ADDR] |
	    (uint64_t)v->word[MSIX_ADDR_HIGH] << 32;

	return x->host->msi_event(x->host->cookie,
	    x->slot + (unsigned)(v - x->vector), v->fd, addr,
	    v->word[MSIX_DATA], on);
}

/*
 * Makes the backend follow one vector.  A message that it refuses, since the
 * address is none of a local APIC's, is not sent: its signals wait as if the
 * vector were masked, until a switch is written and it has a better one.
 */
static void
msix_sync(struct msix *x, struct msix_vector *v)
{
	bool on = v->fd != -1 && msix_open(x, v);

	if (on != v->bound)
		v->bound = msix_bind(x, v, on) == 0 ? on : v->bound;
}

void
msix_update(struct msix *x)
{
	unsigned i;

	for (i = 0; i < x->n; i++)
		msix_sync(x, &x->vector[i]);
}

static bool
msix_pending(const struct msix_vector *v)
{
	return v->fd != -1 && !v->bound && event_waits(v->fd);
}

/* A dword of the BAR: of the table, of the pending bits, or of nothing. */
static uint32_t
msix_read_word(const struct msix *x, uint32_t off)
{
	uint32_t bits = 0;
	unsigned i;

	if (off < MSIX_ENTRY_SIZE * x->n)
		return x->vector[off / MSIX_ENTRY_SIZE].
		    word[off % MSIX_ENTRY_SIZE / 4];
	if (off < x->pba)
		return 0;
	for (i = 8 * (off - x->pba); i < x->n && i < 8 * (off - x->pba) + 32;
	    i++)
		bits |= (uint32_t)msix_pending(&x->vector[i]) << i % 32;
	return bits;
}

static void
msix_write_word(struct msix *x, uint32_t off, uint32_t val)
{
	static const uint32_t writable[MSIX_ENTRY_WORDS] = {
		[MSIX_ADDR] = ~3u,
		[MSIX_ADDR_HIGH] = UINT32_MAX,
		[MSIX_DATA] = UINT32_MAX,
		[MSIX_VECTOR_CONTROL] = MSIX_VECTOR_MASKED,
	};
	unsigned word = off % MSIX_ENTRY_SIZE / 4;
	struct msix_vector *v;

	if (off >= MSIX_ENTRY_SIZE * x->n)
		return;
	v = &x->vector[off / MSIX_ENTRY_SIZE];
	v->word[word] = val & writable[word];
	if (word == MSIX_VECTOR_CONTROL)
		msix_sync(x, v);
}

static uint64_t
msix_read(void *cookie, uint64_t off, unsigned size)
{
	const struct msix *x = cookie;
	uint32_t at = (uint32_t)off & ~3u;
	uint64_t val = msix_read_word(x, at);

	if (size == 8)
		val |= (uint64_t)msix_read_word(x, at + 4) << 32;
	return val >> 8 * (off & 3);
}

/* Other sizes are not allowed (6.8.2), and do nothing. */
static void
msix_write(void *cookie, uint64_t off, unsigned size, uint64_t val)
{
	struct msix *x = cookie;

	if (size < 4)
		return;
	msix_write_word(x, (uint32_t)off, (uint32_t)val);
	if (size == 8)
		msix_write_word(x, (uint32_t)off + 4, val >> 32);
}

static const struct mmio_ops msix_mmio_ops = {
	.read = msix_read,
	.write = msix_write,
};

static void
msix_describe(struct msix *x, unsigned bar)
{
	uint32_t size = MSIX_BAR_MIN;
	struct msix_cap cap;

	while (size / 2 < MSIX_ENTRY_SIZE * x->n)
		size *= 2;
	x->pba = size / 2;
	cap = (struct msix_cap){
		.control = (uint16_t)(x->n - 1),
		.table = bar,
		.pba = x->pba | bar,
	};
	x->cap = pci_add_cap(x->pdev, PCI_CAP_MSIX, &cap, sizeof(cap));
	pci_put16(x->pdev->wmask + x->cap + MSIX_CONTROL,
	    MSIX_CONTROL_ENABLE | MSIX_CONTROL_MASK_ALL);
	pci_add_mem_bar(x->pdev, bar, size, &msix_mmio_ops, x);
}

struct msix *
msix_create(const struct dev_host *host, struct pci_dev *d, unsigned bar,
    unsigned n)
{
	struct msix *x;
	unsigned i;
	int slot;

	assert(n > 0 && n <= MSIX_VECTORS_MAX);
	slot = host->msi_slots(host->cookie, n);
	if (slot < 0) {
		errno = -slot;
		return NULL;
	}
	x = calloc(1, sizeof(*x) + n * sizeof(x->vector[0]));
	if (x == NULL)
		return NULL;
	x->host = host;
	x->pdev = d;
	x->slot = (unsigned)slot;
	x->n = n;
	for (i = 0; i < n; i++) {
		x->vector[i].word[MSIX_VECTOR_CONTROL] = MSIX_VECTOR_MASKED;
		x->vector[i].fd = -1;
	}
	msix_describe(x, bar);
	return x;
}

void
msix_destroy(struct msix *x)
{
	struct msix_vector *v;
	unsigned i;

	if (x == NULL)
		return;
	for (i = 0; i < x->n; i++) {
		v = &x->vector[i];
		if (v->bound)
			msix_bind(x, v, false);
		if (v->fd != -1)
			close(v->fd);
	}
	free(x);
}

int
msix_event(struct msix *x, unsigned vector)
{
	struct msix_vector *v;
	int fd;

	if (vector >= x->n)
		return -EINVAL;
	v = &x->vector[vector];
	if (v->fd == -1) {
		fd = event_create();
		if (fd < 0)
			return fd;
		v->fd = fd;
		msix_sync(x, v);
	}
	return v->fd;
}

void
msix_clear(struct msix *x)
{
	unsigned i;

	for (i = 0; i < x->n; i++)
		if (msix_pending(&x->vector[i]))
			event_clear(x->vector[i].fd);
}

void
msix_reset(struct msix *x)
{
	struct msix_vector *v;
	unsigned i;

	for (i = 0; i < x->n; i++) {
		v = &x->vector[i];
		v->word[MSIX_ADDR] = v->word[MSIX_ADDR_HIGH] = 0;
		v->word[MSIX_DATA] = 0;
		v->word[MSIX_VECTOR_CONTROL] = MSIX_VECTOR_MASKED;
		msix_sync(x, v);
	}
	msix_clear(x);
}

int
msix_save(const struct msix *x, struct state_writer *w)
{
	struct msix_vector_state s;
	unsigned i, k;
	int error = 0;

	for (i = 0; error == 0 && i < x->n; i++) {
		for (k = 0; k < MSIX_ENTRY_WORDS; k++)
			s.word[k] = x->vector[i].word[k];
		s.pending = msix_pending(&x->vector[i]);
		error = state_put(w, "msix-vector", 1, &s, sizeof(s));
	}
	return error;
}

static int
msix_load_vector(struct msix *x, unsigned vector, struct state_reader *r)
{
	struct msix_vector *v = &x->vector[vector];
	struct msix_vector_state s;
	unsigned k;
	int error, fd;

	error = state_get(r, "msix-vector", 1, &s, sizeof(s));
	if (error != 0)
		return error;
	if ((s.word[MSIX_ADDR] & 3) != 0 || s.pending > 1 ||
	    (s.word[MSIX_VECTOR_CONTROL] & ~MSIX_VECTOR_MASKED) != 0)
		return -EINVAL;
	for (k = 0; k < MSIX_ENTRY_WORDS; k++)
		v->word[k] = s.word[k];
	if (s.pending != 0) {
		fd = msix_event(x, vector);
		if (fd < 0)
			return fd;
		event_signal(fd);
	}
	msix_sync(x, v);
	return 0;
}

int
msix_load(struct msix *x, struct state_reader *r)
{
	unsigned i;
	int error = 0;

	msix_reset(x);
	for (i = 0; error == 0 && i < x->n; i++)
		error = msix_load_vector(x, i, r);
	return error;
}
