/* SPDX-License-Identifier: ISC */
/*
 * The part of a virtio device that knows neither its transport nor its type:
 * status, feature negotiation, queues, interrupt status.
 *
 *	transport (virtio_pci)  ->  virtio  ->  device type (virtio_blk)
 *	vCPU thread                 loop        loop
 *
 * The transport keeps the registers and runs on a vCPU thread; what changes
 * the device's state is carried to the loop by dev_host.call, with a copy of
 * the registers it needs.
 */
#ifndef VMMD_VIRTIO_H
#define VMMD_VIRTIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/dev.h"
#include "devices/virtqueue.h"

#define VIRTIO_F_VERSION_1	(1ULL << 32)

/* Device status (virtio 1.2, section 2.1). */
#define VIRTIO_S_ACKNOWLEDGE	0x01
#define VIRTIO_S_DRIVER		0x02
#define VIRTIO_S_DRIVER_OK	0x04
#define VIRTIO_S_FEATURES_OK	0x08
#define VIRTIO_S_NEEDS_RESET	0x40
#define VIRTIO_S_FAILED		0x80

/* Interrupt status. */
#define VIRTIO_ISR_QUEUE	0x01
#define VIRTIO_ISR_CONFIG	0x02

struct virtio;

/*
 * A device type.  All functions take the type's own struct.  v: vCPU thread
 * under the VM's mutex; l: loop.
 */
struct virtio_dev_ops {
	const char	*name;
	uint16_t	 id;		/* virtio device type */
	uint32_t	 pci_class;
	uint16_t	 nqueues;
	uint16_t	 queue_max;	/* entries a queue, a power of two */
	uint32_t	 config_len;	/* bytes of configuration space */

	/* Bits of its own type it offers, always the same. */
	uint64_t	(*features)(const void *dev);

	/* v: configuration space; off + size <= config_len.  NULL: none. */
	uint32_t	(*config_read)(const void *dev, uint32_t off,
			    unsigned size);
	void		(*config_write)(void *dev, uint32_t off,
			    unsigned size, uint32_t val);

	/* l: the driver is ready (or the guest goes on); queues may be used */
	void		(*start)(void *dev, struct virtio *v);
	/* l: there may be something in the queue */
	void		(*notify)(void *dev, unsigned queue);
	/*
	 * l: pop nothing more, and call virtio_stopped(), at once or later,
	 * when no request is in flight.
	 */
	void		(*stop)(void *dev);
	/*
	 * l, stopped: the driver knows the device no longer; what it had set
	 * is as it was when the device was made.  NULL if it sets nothing.
	 */
	void		(*reset)(void *dev);

	/*
	 * As in struct dev_ops, while stopped; NULL if there is no state.  One
	 * that is loaded is that of a driver with these features.
	 */
	int		(*save)(const void *dev, struct state_writer *w);
	int		(*load)(void *dev, uint64_t features,
			    struct state_reader *r);
};

/* `name` begins its log lines ("vm web1: disk 0").  NULL with errno set. */
struct virtio *virtio_create(const struct dev_host *host,
    const struct gmem *gm, const struct virtio_dev_ops *ops, void *dev,
    const char *name);

/* Any thread; the device never ran, or virtio_stop() is done. */
void virtio_destroy(struct virtio *v);

/*
 * For transports, on a vCPU thread.  The first two wait for the loop (see
 * dev_host.call); writing status 0 returns when the device has been reset,
 * that is when its last request is complete.
 */
void virtio_set_status(struct virtio *v, uint8_t status, uint64_t features);
void virtio_enable_queue(struct virtio *v, unsigned queue,
    const struct vq_config *cfg);
uint8_t virtio_status(struct virtio *v);
bool virtio_queue_enabled(struct virtio *v, unsigned queue);
uint64_t virtio_offered(const struct virtio *v);
bool virtio_intx_level(struct virtio *v);

/* Another one after each change of the configuration space (4.1.4.3). */
uint8_t virtio_generation(struct virtio *v);

/*
 * Vectors (MSI-X): while they are on, an interrupt is a signal to the event of
 * its queue or, with queue VIRTIO_CONFIG, of the configuration; -1: there is
 * none, and no interrupt.  The event must be there as long as the device is.
 * Under the VM's mutex.
 */
#define VIRTIO_CONFIG		UINT16_MAX
void virtio_use_vectors(struct virtio *v, bool on);
void virtio_set_vector(struct virtio *v, unsigned queue, int event);

/*
 * The eventfd whose signals are as good as virtio_notify(), or -1 if there is
 * none.  Immutable.
 */
int virtio_queue_fd(const struct virtio *v, unsigned queue);

/* Any thread: has notify() called in a later turn of the loop. */
void virtio_notify(struct virtio *v, unsigned queue);

/* Reads the interrupt status, which clears it. */
uint8_t virtio_take_isr(struct virtio *v);

/*
 * Loop: quiesces the device for good or for a save; done(arg) runs, at once
 * or later, when nothing is in flight.  No vCPU may run meanwhile.  resume
 * sets going what was stopped or loaded.
 */
void virtio_stop(struct virtio *v, void (*done)(void *arg), void *arg);
void virtio_resume(struct virtio *v);

/* While stopped; load only into a device in its reset state. */
int virtio_save(const struct virtio *v, struct state_writer *w);
int virtio_load(struct virtio *v, struct state_reader *r);

/*
 * For device types, on the loop, between start() and virtio_stopped().
 */
uint64_t virtio_features(const struct virtio *v);

/* The loop's turns, counted: what notify() does by turns goes by it. */
unsigned virtio_turn(const struct virtio *v);

/* As vq_pop, but a broken ring is dealt with here and looks empty. */
bool virtio_pop(struct virtio *v, unsigned queue, struct vq_chain *c);

/* Puts the last `n` chains of a queue back; see vq_unpop. */
void virtio_unpop(struct virtio *v, unsigned queue, unsigned n);

/* The entries of an enabled queue. */
unsigned virtio_queue_size(const struct virtio *v, unsigned queue);

/* The configuration space has changed: tells the driver. */
void virtio_config_changed(struct virtio *v);

/*
 * Returns a chain; all that are returned together, by what one turn of the
 * loop heard of or by what it submitted, are shown to the driver at once, and
 * at most one interrupt a queue raised.
 */
void virtio_push(struct virtio *v, unsigned queue, uint16_t head,
    uint32_t len);

/*
 * The driver broke the protocol: the device is dead until it is reset.
 * `why` goes to the log.
 */
void virtio_fail(struct virtio *v, const char *why);

/* The answer to stop(). */
void virtio_stopped(struct virtio *v);

#endif /* VMMD_VIRTIO_H */
