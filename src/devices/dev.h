/* SPDX-License-Identifier: ISC */
/*
 * What every emulated device has in common: its operations, and the services
 * of the machine it sits in.  A device knows nothing else of the daemon.
 *
 * Unless said otherwise a device's functions run on a vCPU thread under the
 * VM's mutex.
 */
#ifndef VMMD_DEV_H
#define VMMD_DEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"

struct dev_host;
struct state_writer;
struct state_reader;

#define DEV_NO_DEADLINE	UINT64_MAX

/*
 * The operations the machine walks over.  All take the device's own struct.
 * reset() brings the power-on state.  save() appends the state, load() takes
 * it from a writer's bytes and checks every value: the bytes may come from a
 * stranger.  fold() does what has come due since it last ran (timer expiries,
 * queued input, line levels) and returns the host time, in ns, at which it
 * wants to run again, or DEV_NO_DEADLINE; NULL if the device has no such work.
 */
struct dev_ops {
	const char	*name;
	void		(*reset)(void *dev);
	int		(*save)(const void *dev, struct state_writer *w);
	int		(*load)(void *dev, struct state_reader *r);
	uint64_t	(*fold)(void *dev, uint64_t now);
};

/*
 * A call from a vCPU thread that the loop answers: the loop runs fn(arg) and
 * the device calls dev_call_done() when the work is complete, at once or in a
 * later turn of the loop.  On the caller's stack; see dev_host.call.
 */
struct dev_call {
	struct loop_task	 task;
	void			(*done)(struct dev_call *c);	/* any thread */
	void			*cookie;	/* the machine's */
};

static inline void
dev_call_done(struct dev_call *c)
{
	c->done(c);
}

/*
 * What the machine gives to its devices.  Immutable; outlives the devices.
 */
struct dev_host {
	void		*cookie;
	struct loop	*loop;

	/* Host monotonic time in ns; any thread.  Tests have their own. */
	uint64_t	(*now)(void *cookie);

	/*
	 * Drives an ISA or PCI interrupt line: an input of the PIC, and the
	 * pin of the IOAPIC that the guest's tables name for it.  VM's mutex
	 * held.
	 */
	void		(*set_irq)(void *cookie, unsigned irq, bool level);

	/*
	 * Sends a message-signalled interrupt; one that is for no local APIC
	 * is dropped.  VM's mutex held.  NULL where guests have no local APIC;
	 * so are the next two.
	 */
	void		(*msi)(void *cookie, uint64_t addr, uint32_t data);

	/*
	 * Has each signal to the eventfd `fd` send a message, without a
	 * thread, or ends that: 0 or -errno.  Signals that wait are sent when
	 * it begins, those after its end stay counted in the eventfd.  Binding
	 * a slot again replaces its message.  VM's mutex held.
	 */
	int		(*msi_event)(void *cookie, unsigned slot, int fd,
			    uint64_t addr, uint32_t data, bool on);

	/*
	 * Gives `n` slots for msi_event to a device for its life: the first,
	 * or -ENOSPC.  At its creation.
	 */
	int		(*msi_slots)(void *cookie, unsigned n);

	/* Asks for a round of fold() before the guest next runs; any thread. */
	void		(*attention)(void *cookie);

	/*
	 * vCPU thread: runs c->task.fn on the loop and waits until the device
	 * says dev_call_done(c).  The VM's mutex is dropped meanwhile, so the
	 * caller must look at shared state afresh.  Where there is no loop
	 * (unit tests) it runs fn directly.
	 */
	void		(*call)(void *cookie, struct dev_call *c);

	/*
	 * Has the backend signal an eventfd at each write of `size` bytes to
	 * `port`, instead of an access by the bus, or ends that: 0 or -errno,
	 * upon which the bus gets them as ever.  VM's mutex held, or before
	 * the guest runs.  NULL where the backend cannot.
	 */
	int		(*doorbell)(void *cookie, uint16_t port, uint8_t size,
			    int fd, bool on);

	/*
	 * The guest asked for a reset (i8042, triple fault...), or switched
	 * itself off (ACPI's S5); any thread.
	 */
	void		(*reset)(void *cookie);
	void		(*poweroff)(void *cookie);
};

#endif /* VMMD_DEV_H */
