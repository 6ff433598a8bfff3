/* SPDX-License-Identifier: ISC */
/*
 * Messages to the local APICs that KVM keeps.
 *
 * KVM knows messages by a routing table, which is set as a whole, at the cost
 * of a grace period of the host's; so it is set when a message is new or
 * changes, and what is unbound keeps its row.  Its first HV_IOAPIC_PINS numbers
 * (GSI) are the IOAPIC's and tell KVM whose ends to report; slot n of an event
 * is the number after those plus n.
 *
 * An eventfd that is bound while signals wait: KVM sends one message and takes
 * the count when the eventfd is unbound or signalled next.
 */
#include <sys/ioctl.h>

#include <linux/kvm.h>

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/hv.h"
#include "vmm/hv_kvm.h"

#define GSIS		(HV_IOAPIC_PINS + HV_MSI_EVENTS)
#define ROWS_FIRST	32

/* k: under lock.  i: immutable. */
struct hv_kvm_irq {
	int			 vm;		/* i */
	pthread_mutex_t		 lock;
	struct kvm_irq_routing	*table;		/* k; NULL: empty */
	uint32_t		 room;		/* k: rows there is memory for */
	uint16_t		 row[GSIS];	/* k: plus one; 0: has none */
	int			 fd[HV_MSI_EVENTS];	/* k: -1: unbound */
};

int
hv_kvm_irq_create(struct hv_kvm_irq **irqp, int vm)
{
	struct hv_kvm_irq *irq;
	unsigned i;
	int error;

	irq = calloc(1, sizeof(*irq));
	if (irq == NULL)
		return -ENOMEM;
	error = -pthread_mutex_init(&irq->lock, NULL);
	if (error != 0) {
		free(irq);
		return error;
	}
	irq->vm = vm;
	for (i = 0; i < HV_MSI_EVENTS; i++)
		irq->fd[i] = -1;
	*irqp = irq;
	return 0;
}

void
hv_kvm_irq_destroy(struct hv_kvm_irq *irq)
{
	pthread_mutex_destroy(&irq->lock);
	free(irq->table);
	free(irq);
}

int
hv_kvm_irq_send(struct hv_kvm_irq *irq, const struct hv_msi *msg)
{
	struct kvm_msi m = {
		.address_lo = (uint32_t)msg->addr, .data = msg->data,
	};

	if (!hv_msi_valid(msg))
		return -EINVAL;
	/* EPERM: no local APIC takes it. */
	if (ioctl(irq->vm, KVM_SIGNAL_MSI, &m) == -1 && errno != EPERM)
		return -errno;
	return 0;
}

/* Makes room for another row, for `gsi`: 0 or -ENOMEM. */
static int
add_row(struct hv_kvm_irq *irq, unsigned gsi)
{
	struct kvm_irq_routing *t;
	uint32_t used = irq->table != NULL ? irq->table->nr : 0;
	uint32_t room = irq->room != 0 ? 2 * irq->room : ROWS_FIRST;

	if (used == irq->room) {
		t = realloc(irq->table, sizeof(*t) +
		    room * sizeof(t->entries[0]));
		if (t == NULL)
			return -ENOMEM;
		t->nr = used;
		t->flags = 0;
		irq->table = t;
		irq->room = room;
	}
	memset(&irq->table->entries[used], 0, sizeof(t->entries[0]));
	irq->table->entries[used].gsi = gsi;
	irq->table->entries[used].type = KVM_IRQ_ROUTING_MSI;
	irq->table->nr++;
	irq->row[gsi] = (uint16_t)irq->table->nr;
	return 0;
}

/* Gives a number its message, unless it has it; 0 or -errno. */
static int
set_row(struct hv_kvm_irq *irq, unsigned gsi, const struct hv_msi *msg)
{
	struct kvm_irq_routing_msi *m, old;
	bool fresh = irq->row[gsi] == 0;
	int error;

	if (fresh) {
		error = add_row(irq, gsi);
		if (error != 0)
			return error;
	}
	m = &irq->table->entries[irq->row[gsi] - 1].u.msi;
	if (!fresh && m->address_lo == (uint32_t)msg->addr &&
	    m->data == msg->data)
		return 0;
	old = *m;
	m->address_lo = (uint32_t)msg->addr;
	m->data = msg->data;
	if (ioctl(irq->vm, KVM_SET_GSI_ROUTING, irq->table) == 0)
		return 0;
	error = -errno;
	*m = old;
	if (fresh) {
		irq->table->nr--;
		irq->row[gsi] = 0;
	}
	return error;
}

int
hv_kvm_irq_route(struct hv_kvm_irq *irq, unsigned pin,
    const struct hv_msi *msg)
{
	/* Edge-triggered, with a vector that no APIC takes. */
	static const struct hv_msi none = { .addr = 0xfee00000 };
	int error;

	if (pin >= HV_IOAPIC_PINS || (msg != NULL && !hv_msi_valid(msg)))
		return -EINVAL;
	pthread_mutex_lock(&irq->lock);
	error = set_row(irq, pin, msg != NULL ? msg : &none);
	pthread_mutex_unlock(&irq->lock);
	return error;
}

static int
set_event(struct hv_kvm_irq *irq, unsigned slot, int fd, bool on)
{
	struct kvm_irqfd e = {
		.fd = (uint32_t)fd,
		.gsi = HV_IOAPIC_PINS + slot,
		.flags = on ? 0 : KVM_IRQFD_FLAG_DEASSIGN,
	};

	if (ioctl(irq->vm, KVM_IRQFD, &e) == -1)
		return -errno;
	irq->fd[slot] = on ? fd : -1;
	return 0;
}

static int
bind_event(struct hv_kvm_irq *irq, unsigned slot, int fd,
    const struct hv_msi *msg)
{
	int error = 0;

	if (irq->fd[slot] != -1 && (msg == NULL || irq->fd[slot] != fd))
		error = set_event(irq, slot, irq->fd[slot], false);
	if (msg == NULL || error != 0)
		return error;
	error = set_row(irq, HV_IOAPIC_PINS + slot, msg);
	if (error == 0 && irq->fd[slot] == -1)
		error = set_event(irq, slot, fd, true);
	return error;
}

int
hv_kvm_irq_event(struct hv_kvm_irq *irq, unsigned slot, int fd,
    const struct hv_msi *msg)
{
	int error;

	if (slot >= HV_MSI_EVENTS || (msg != NULL && !hv_msi_valid(msg)))
		return -EINVAL;
	pthread_mutex_lock(&irq->lock);
	error = bind_event(irq, slot, fd, msg);
	pthread_mutex_unlock(&irq->lock);
	return error;
}
