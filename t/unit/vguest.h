/* SPDX-License-Identifier: ISC */
/*
 * A machine of bus, PCI and loop for tests of virtio devices, and the guest's
 * driver in it.
 *
 * With `threaded` the loop runs on another thread and the guest's functions
 * on a thread that stands for the vCPU.  Without, both are one thread, and
 * the guest turns the loop while it waits.
 */
#ifndef VMMD_VGUEST_H
#define VMMD_VGUEST_H

#include <semaphore.h>

#include "devices/bus.h"
#include "devices/pci.h"
#include "devices/virtio_pci.h"
#include "msirig.h"
#include "testhost.h"
#include "vring.h"

#define VGUEST_MEM	0x200000u
#define VGUEST_RINGS	0x1000u		/* each queue has 0x4000 */
#define VGUEST_DATA	0x80000u

#define VGUEST_SLOT	1

struct vguest {
	struct testhost	 t;
	struct gmem	 gm;
	struct bus	*bus;
	struct pci	*pci;
	bool		 threaded;
	sem_t		 attention;
	struct loop_task wake;
	unsigned	 calls;
	struct msirig	 msi;
};

static inline void
vguest_attention(void *cookie)
{
	struct vguest *g = cookie;

	sem_post(&g->attention);
	/* It may come when the loop is about to sleep. */
	if (!g->threaded)
		loop_post(g->t.host.loop, &g->wake);
}

static inline void
vguest_wake(void *arg)
{
	(void)arg;
}

static inline void
vguest_set_irq(void *cookie, unsigned irq, bool level)
{
	struct vguest *g = cookie;

	testhost_set_irq(&g->t, irq, level);
}

static inline void
vguest_called(struct dev_call *c)
{
	sem_post(c->cookie);
}

/* Turns the loop until somebody posts the semaphore. */
static inline void
vguest_wait(struct vguest *g, sem_t *sem)
{
	if (g->threaded) {
		while (sem_wait(sem) != 0)
			continue;
		return;
	}
	while (sem_trywait(sem) != 0)
		ev_run(loop_ev(g->t.host.loop), EVRUN_ONCE);
}

static inline void
vguest_call(void *cookie, struct dev_call *c)
{
	struct vguest *g = cookie;
	sem_t sem;

	sem_init(&sem, 0, 0);
	c->done = vguest_called;
	c->cookie = &sem;
	g->calls++;
	loop_post(g->t.host.loop, &c->task);
	vguest_wait(g, &sem);
	sem_destroy(&sem);
}

static inline int
vguest_msi_event(void *cookie, unsigned slot, int fd, uint64_t addr,
    uint32_t data, bool on)
{
	struct vguest *g = cookie;

	return msirig_event(&g->msi, slot, fd, addr, data, on);
}

static inline int
vguest_msi_slots(void *cookie, unsigned n)
{
	struct vguest *g = cookie;

	return msirig_slots(&g->msi, n);
}

/* Turns the loop without waiting, a few times. */
static inline void
vguest_turn(struct vguest *g)
{
	unsigned i;

	for (i = 0; i < 5; i++)
		ev_run(loop_ev(g->t.host.loop), EVRUN_NOWAIT);
}

static inline void
vguest_init(struct vguest *g, struct loop *loop)
{
	void *mem = aligned_alloc(4096, VGUEST_MEM);

	memset(g, 0, sizeof(*g));
	testhost_init(&g->t);
	g->t.host.cookie = g;
	g->t.host.loop = loop;
	g->t.host.set_irq = vguest_set_irq;
	g->t.host.attention = vguest_attention;
	g->t.host.call = vguest_call;
	g->wake.fn = vguest_wake;
	ck_assert_ptr_nonnull(mem);
	memset(mem, 0, VGUEST_MEM);
	g->gm.nranges = 1;
	g->gm.range[0] = (struct gmem_range){ 0, VGUEST_MEM, mem };
	g->bus = bus_create();
	g->pci = pci_create(&g->t.host, g->bus);
	ck_assert_ptr_nonnull(g->pci);
	sem_init(&g->attention, 0, 0);
}

static inline void
vguest_fini(struct vguest *g)
{
	pci_destroy(g->pci);
	bus_destroy(g->bus);
	free(g->gm.range[0].hva);
	sem_destroy(&g->attention);
}

/* Gives the host messages; before there are devices. */
static inline void
vguest_add_msi(struct vguest *g)
{
	g->t.host.msi_event = vguest_msi_event;
	g->t.host.msi_slots = vguest_msi_slots;
}

static inline uint32_t
vguest_conf(struct vguest *g, unsigned slot, unsigned reg, unsigned size)
{
	bus_out(g->bus, 0xcf8, 4, 0x80000000u | slot << 11 | (reg & 0xfc));
	return bus_in(g->bus, (uint16_t)(0xcfc + (reg & 3)), size);
}

static inline void
vguest_set_conf(struct vguest *g, unsigned slot, unsigned reg, unsigned size,
    uint32_t val)
{
	bus_out(g->bus, 0xcf8, 4, 0x80000000u | slot << 11 | (reg & 0xfc));
	bus_out(g->bus, (uint16_t)(0xcfc + (reg & 3)), size, val);
}

/* A register of the device in the first slot. */
static inline uint32_t
vguest_in(struct vguest *g, uint32_t off, unsigned size)
{
	uint32_t bar = vguest_conf(g, VGUEST_SLOT, 0x10, 4) & ~3u;

	return bus_in(g->bus, (uint16_t)(bar + off), size);
}

static inline void
vguest_out(struct vguest *g, uint32_t off, unsigned size, uint32_t val)
{
	uint32_t bar = vguest_conf(g, VGUEST_SLOT, 0x10, 4) & ~3u;

	bus_out(g->bus, (uint16_t)(bar + off), size, val);
}

static inline uint8_t
vguest_status(struct vguest *g)
{
	return (uint8_t)vguest_in(g, 0x14, 1);
}

static inline void
vguest_set_status(struct vguest *g, uint8_t status)
{
	vguest_out(g, 0x14, 1, status);
}

/* From reset to FEATURES_OK, if the device agrees; the status it shows. */
static inline uint8_t
vguest_negotiate(struct vguest *g, uint64_t features)
{
	vguest_set_status(g, 0);
	vguest_set_status(g, 0x01);
	vguest_set_status(g, 0x03);
	vguest_out(g, 0x08, 4, 0);
	vguest_out(g, 0x0c, 4, (uint32_t)features);
	vguest_out(g, 0x08, 4, 1);
	vguest_out(g, 0x0c, 4, features >> 32);
	vguest_set_status(g, 0x0b);
	return vguest_status(g);
}

static inline uint64_t
vguest_offered(struct vguest *g)
{
	uint64_t features;

	vguest_out(g, 0x00, 4, 1);
	features = (uint64_t)vguest_in(g, 0x04, 4) << 32;
	vguest_out(g, 0x00, 4, 0);
	return features | vguest_in(g, 0x04, 4);
}

/* Tells the device where a queue lies, and enables it. */
static inline void
vguest_enable(struct vguest *g, unsigned queue, const struct vq_config *cfg)
{
	vguest_out(g, 0x16, 2, queue);
	vguest_out(g, 0x18, 2, cfg->size);
	vguest_out(g, 0x20, 4, (uint32_t)cfg->desc);
	vguest_out(g, 0x24, 4, cfg->desc >> 32);
	vguest_out(g, 0x28, 4, (uint32_t)cfg->avail);
	vguest_out(g, 0x2c, 4, cfg->avail >> 32);
	vguest_out(g, 0x30, 4, (uint32_t)cfg->used);
	vguest_out(g, 0x34, 4, cfg->used >> 32);
	vguest_out(g, 0x1c, 2, 1);
}

/* Lays a queue out in guest memory and enables it. */
static inline void
vguest_queue(struct vguest *g, struct vring *r, unsigned queue, uint16_t size)
{
	vring_init(r, g->gm.range[0].hva, VGUEST_RINGS + 0x4000u * queue,
	    size);
	vguest_enable(g, queue, &r->cfg);
}

/* All the way to DRIVER_OK with one queue. */
static inline void
vguest_start(struct vguest *g, struct vring *r, uint16_t size,
    uint64_t features)
{
	ck_assert_uint_eq(vguest_negotiate(g, features), 0x0b);
	vguest_queue(g, r, 0, size);
	vguest_set_status(g, 0x0f);
	ck_assert_uint_eq(vguest_status(g), 0x0f);
}

static inline void
vguest_notify(struct vguest *g, unsigned queue)
{
	vguest_out(g, 0x100 + 2 * queue, 2, queue);
}

static inline bool
vguest_line(struct vguest *g)
{
	return g->t.line[vguest_conf(g, VGUEST_SLOT, 0x3c, 1)];
}

/* Waits for the device's line to rise; returns the interrupt status. */
static inline uint8_t
vguest_wait_irq(struct vguest *g)
{
	uint8_t isr;

	pci_fold_intx(g->pci);
	while (!vguest_line(g)) {
		vguest_wait(g, &g->attention);
		pci_fold_intx(g->pci);
	}
	isr = (uint8_t)vguest_in(g, 0x40, 1);
	/* The read has lowered the line, before any fold. */
	if (!g->threaded)
		ck_assert(!vguest_line(g));
	return isr;
}

#endif /* VMMD_VGUEST_H */
