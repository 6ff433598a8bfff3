/* SPDX-License-Identifier: ISC */
/*
 * virtio devices between transport and type: see virtio.h.
 *
 * The loop owns everything but the atomics, of which it is the only writer
 * too, except that reading the interrupt status clears it.  Stopping is one
 * path for two ends: a reset, which vCPU threads wait for, and virtio_stop().
 */
#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/bell.h"
#include "base/event.h"
#include "base/log.h"
#include "devices/state.h"
#include "devices/virtio.h"

#define VIRTIO_CORE_FEATURES	(VIRTIO_F_VERSION_1 | \
	VIRTIO_RING_F_INDIRECT_DESC | VIRTIO_RING_F_EVENT_IDX)

/* A guest may fail its devices as often as it likes, but not fill the log. */
#define VIRTIO_LOG_INTERVAL	10000000000ull	/* ns */

/* Less urgent than whatever completes requests when a descriptor says so. */
#define VIRTIO_PUBLISH_PRIORITY	(-1)

/* What a driver may set. */
#define VIRTIO_S_DRIVER_BITS	(VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER | \
	VIRTIO_S_FEATURES_OK | VIRTIO_S_DRIVER_OK | VIRTIO_S_FAILED)

/*
 * i: immutable; l: loop; a: atomic, written by the loop; t: atomic, written by
 * the transport
 */
struct virtio_queue {
	struct virtio		*v;		/* i */
	unsigned		 index;		/* i */
	struct vq_config	 cfg;		/* l: valid while enabled */
	struct virtqueue	 vq;		/* l */
	struct loop_task	 task;		/* any: a notification */
	struct bell		*bell;		/* i: the same; or NULL */
	atomic_bool		 enabled;	/* a */
	atomic_int		 vector;	/* t: event, or -1 */
};

/*
 * running: start() was called, stop() has not been answered.
 * stopping: stop() was called too.
 */
struct virtio {
	const struct dev_host		*host;		/* i */
	const struct gmem		*gm;		/* i */
	const struct virtio_dev_ops	*ops;		/* i */
	void				*dev;		/* i */
	char				*name;		/* i */
	uint64_t			 offered;	/* i */
	uint64_t			 features;	/* l: negotiated */
	atomic_uint_least8_t		 status;	/* a */
	atomic_uint_least8_t		 isr;		/* any */
	atomic_uint_least8_t		 generation;	/* a */
	atomic_bool			 vectors;	/* t: MSI-X is on */
	atomic_int			 config_vector;	/* t: event, or -1 */
	bool				 running;	/* l */
	bool				 stopping;	/* l */
	struct virtio_call		*resets;	/* l: who waits */
	void				(*stop_done)(void *);	/* l */
	void				*stop_arg;	/* l */
	struct ev_prepare		 publish;	/* l: only ever fed */
	uint64_t			 log_after;	/* l: ns */
	struct virtio_queue		 queue[];	/* ops->nqueues */
};

/*
 * What a vCPU thread asks of the loop: on its stack, with copies of the
 * registers, which other vCPUs may change while it waits.
 */
struct virtio_call {
	struct dev_call		 call;
	struct virtio		*v;
	struct virtio_call	*next;		/* in resets */
	uint8_t			 status;
	uint64_t		 features;
	unsigned		 queue;
	struct vq_config	 cfg;
};

struct virtio_state {
	uint64_t	features;
	uint8_t		status;
	uint8_t		isr;
	uint8_t		generation;
	uint8_t		pad[5];
};
_Static_assert(sizeof(struct virtio_state) == 16, "no hidden padding");

struct virtio_queue_state {
	uint64_t	desc;
	uint64_t	avail;
	uint64_t	used;
	uint16_t	size;
	uint16_t	enabled;
	uint16_t	position;
	uint16_t	pad;
};
_Static_assert(sizeof(struct virtio_queue_state) == 32, "no hidden padding");

static void virtio_publish(struct ev_loop *, struct ev_prepare *, int);

static void
virtio_queue_task(void *arg)
{
	struct virtio_queue *q = arg;
	struct virtio *v = q->v;

	if (v->running && !v->stopping && atomic_load(&q->enabled) &&
	    (atomic_load(&v->status) & VIRTIO_S_NEEDS_RESET) == 0)
		v->ops->notify(v->dev, q->index);
}

struct virtio *
virtio_create(const struct dev_host *host, const struct gmem *gm,
    const struct virtio_dev_ops *ops, void *dev, const char *name)
{
	struct virtio *v;
	unsigned i;

	v = calloc(1, sizeof(*v) + ops->nqueues * sizeof(v->queue[0]));
	if (v == NULL)
		return NULL;
	v->name = strdup(name);
	if (v->name == NULL) {
		free(v);
		return NULL;
	}
	v->host = host;
	v->gm = gm;
	v->ops = ops;
	v->dev = dev;
	v->offered = VIRTIO_CORE_FEATURES | ops->features(dev);
	ev_prepare_init(&v->publish, virtio_publish);
	ev_set_priority(&v->publish, VIRTIO_PUBLISH_PRIORITY);
	v->publish.data = v;
	atomic_store(&v->config_vector, -1);
	for (i = 0; i < ops->nqueues; i++) {
		v->queue[i].v = v;
		v->queue[i].index = i;
		atomic_store(&v->queue[i].vector, -1);
		v->queue[i].task.fn = virtio_queue_task;
		v->queue[i].task.arg = &v->queue[i];
		/* Without one, notifications come by the bus. */
		if (host->doorbell != NULL)
			v->queue[i].bell = bell_create(host->loop,
			    virtio_queue_task, &v->queue[i]);
	}
	return v;
}

void
virtio_destroy(struct virtio *v)
{
	unsigned i;

	if (v == NULL)
		return;
	assert(!v->running && v->resets == NULL);
	for (i = 0; i < v->ops->nqueues; i++)
		bell_destroy(v->queue[i].bell);
	free(v->name);
	free(v);
}

uint8_t
virtio_status(struct virtio *v)
{
	return atomic_load(&v->status);
}

bool
virtio_queue_enabled(struct virtio *v, unsigned queue)
{
	return atomic_load(&v->queue[queue].enabled);
}

uint64_t
virtio_offered(const struct virtio *v)
{
	return v->offered;
}

uint8_t
virtio_generation(struct virtio *v)
{
	return atomic_load(&v->generation);
}

bool
virtio_intx_level(struct virtio *v)
{
	return !atomic_load(&v->vectors) && atomic_load(&v->isr) != 0;
}

void
virtio_use_vectors(struct virtio *v, bool on)
{
	atomic_store(&v->vectors, on);
}

void
virtio_set_vector(struct virtio *v, unsigned queue, int event)
{
	atomic_store(queue == VIRTIO_CONFIG ? &v->config_vector :
	    &v->queue[queue].vector, event);
}

uint8_t
virtio_take_isr(struct virtio *v)
{
	return atomic_exchange(&v->isr, 0);
}

int
virtio_queue_fd(const struct virtio *v, unsigned queue)
{
	const struct bell *b = v->queue[queue].bell;

	return b != NULL ? bell_fd(b) : -1;
}

void
virtio_notify(struct virtio *v, unsigned queue)
{
	loop_post(v->host->loop, &v->queue[queue].task);
}

static void
virtio_signal(atomic_int *vector)
{
	int event = atomic_load(vector);

	if (event != -1)
		event_signal(event);
}

/* A bit that is set already has had its attention. */
static void
virtio_set_isr(struct virtio *v, uint8_t bit)
{
	if ((atomic_fetch_or(&v->isr, bit) & bit) == 0)
		v->host->attention(v->host->cookie);
}

/* With vectors the interrupt status tells, but does not interrupt (4.1.4.5). */
static void
virtio_config_interrupt(struct virtio *v)
{
	virtio_set_isr(v, VIRTIO_ISR_CONFIG);
	if (atomic_load(&v->vectors))
		virtio_signal(&v->config_vector);
}

void
virtio_config_changed(struct virtio *v)
{
	atomic_fetch_add(&v->generation, 1);
	virtio_config_interrupt(v);
}

static void
virtio_listen(struct virtio *v, bool on)
{
	unsigned i;

	for (i = 0; i < v->ops->nqueues; i++)
		if (v->queue[i].bell != NULL)
			bell_listen(v->queue[i].bell, on);
}

/* Sets the device going: notifications may have come before it listened. */
static void
virtio_run(struct virtio *v)
{
	unsigned i;

	v->running = true;
	v->ops->start(v->dev, v);
	virtio_listen(v, true);
	for (i = 0; i < v->ops->nqueues; i++)
		if (atomic_load(&v->queue[i].enabled))
			virtio_notify(v, i);
}

static int
virtio_start_queues(struct virtio *v)
{
	struct virtio_queue *q;
	unsigned i;
	int error;

	for (i = 0; i < v->ops->nqueues; i++) {
		q = &v->queue[i];
		if (!atomic_load(&q->enabled))
			continue;
		error = vq_start(&q->vq, v->gm, &q->cfg, v->features);
		if (error != 0)
			return error;
	}
	return 0;
}

static bool
virtio_acceptable(const struct virtio *v, uint64_t features)
{
	return (features & ~v->offered) == 0 &&
	    (features & VIRTIO_F_VERSION_1) != 0;
}

/* The driver sets status bits; it cannot clear any but by a reset. */
static void
virtio_add_status(struct virtio *v, uint8_t status, uint64_t features)
{
	uint8_t old = atomic_load(&v->status);
	uint8_t add = status & VIRTIO_S_DRIVER_BITS & (uint8_t)~old;

	if ((add & VIRTIO_S_FEATURES_OK) != 0) {
		if (virtio_acceptable(v, features))
			v->features = features;
		else
			add &= (uint8_t)~VIRTIO_S_FEATURES_OK;
	}
	if (((old | add) & VIRTIO_S_FEATURES_OK) == 0)
		add &= (uint8_t)~VIRTIO_S_DRIVER_OK;
	atomic_store(&v->status, old | add);
	if ((add & VIRTIO_S_DRIVER_OK) == 0)
		return;
	if (virtio_start_queues(v) != 0)
		virtio_fail(v, "a queue is misplaced");
	else
		virtio_run(v);
}

/* The device is as it was when it was made. */
static void
virtio_clear(struct virtio *v)
{
	unsigned i;

	for (i = 0; i < v->ops->nqueues; i++) {
		vq_stop(&v->queue[i].vq);
		atomic_store(&v->queue[i].enabled, false);
	}
	if (v->ops->reset != NULL)
		v->ops->reset(v->dev);
	v->features = 0;
	atomic_store(&v->isr, 0);
	atomic_store(&v->generation, 0);
	atomic_store(&v->status, 0);
}

/* Nothing is in flight: answers all who waited for that. */
static void
virtio_finish_stop(struct virtio *v)
{
	void (*done)(void *) = v->stop_done;
	struct virtio_call *c;
	unsigned i;

	for (i = 0; i < v->ops->nqueues; i++)
		loop_cancel(v->host->loop, &v->queue[i].task);
	virtio_listen(v, false);
	if (v->resets != NULL)
		virtio_clear(v);
	while ((c = v->resets) != NULL) {
		v->resets = c->next;
		/* The call is on the caller's stack: gone once it is told. */
		dev_call_done(&c->call);
	}
	v->stop_done = NULL;
	if (done != NULL)
		done(v->stop_arg);
}

static void
virtio_begin_stop(struct virtio *v)
{
	if (v->stopping)
		return;
	if (!v->running) {
		virtio_finish_stop(v);
		return;
	}
	v->stopping = true;
	v->ops->stop(v->dev);
}

void
virtio_stopped(struct virtio *v)
{
	assert(v->stopping);
	virtio_publish(loop_ev(v->host->loop), &v->publish, 0);
	v->running = v->stopping = false;
	virtio_finish_stop(v);
}

void
virtio_stop(struct virtio *v, void (*done)(void *arg), void *arg)
{
	assert(v->stop_done == NULL);
	v->stop_done = done;
	v->stop_arg = arg;
	virtio_begin_stop(v);
}

void
virtio_resume(struct virtio *v)
{
	uint8_t status = atomic_load(&v->status);

	assert(!v->running);
	if ((status & (VIRTIO_S_DRIVER_OK | VIRTIO_S_NEEDS_RESET)) ==
	    VIRTIO_S_DRIVER_OK)
		virtio_run(v);
}

static void
virtio_status_task(void *arg)
{
	struct virtio_call *c = arg;
	struct virtio *v = c->v;

	if (c->status == 0) {
		c->next = v->resets;
		v->resets = c;
		virtio_begin_stop(v);
		return;
	}
	/* Amid another vCPU's reset it starts nothing, and is lost in it. */
	virtio_add_status(v, c->status, c->features);
	dev_call_done(&c->call);
}

void
virtio_set_status(struct virtio *v, uint8_t status, uint64_t features)
{
	struct virtio_call c = {
		.call.task.fn = virtio_status_task,
		.v = v,
		.status = status,
		.features = features,
	};

	c.call.task.arg = &c;
	v->host->call(v->host->cookie, &c.call);
}

static void
virtio_enable_task(void *arg)
{
	struct virtio_call *c = arg;
	struct virtio *v = c->v;
	struct virtio_queue *q = &v->queue[c->queue];
	uint16_t size = c->cfg.size;

	if (!atomic_load(&q->enabled) &&
	    (atomic_load(&v->status) & VIRTIO_S_DRIVER_OK) == 0 &&
	    size != 0 && size <= v->ops->queue_max &&
	    (size & (size - 1)) == 0) {
		q->cfg = c->cfg;
		atomic_store(&q->enabled, true);
	}
	dev_call_done(&c->call);
}

void
virtio_enable_queue(struct virtio *v, unsigned queue,
    const struct vq_config *cfg)
{
	struct virtio_call c = {
		.call.task.fn = virtio_enable_task,
		.v = v,
		.queue = queue,
		.cfg = *cfg,
	};

	c.call.task.arg = &c;
	v->host->call(v->host->cookie, &c.call);
}

uint64_t
virtio_features(const struct virtio *v)
{
	return v->features;
}

unsigned
virtio_turn(const struct virtio *v)
{
	return ev_iteration(loop_ev(v->host->loop));
}

void
virtio_fail(struct virtio *v, const char *why)
{
	uint8_t old = atomic_fetch_or(&v->status, VIRTIO_S_NEEDS_RESET);
	uint64_t now = v->host->now(v->host->cookie);

	if ((old & VIRTIO_S_NEEDS_RESET) != 0)
		return;
	if (now >= v->log_after) {
		v->log_after = now + VIRTIO_LOG_INTERVAL;
		log_warn("%s: %s; the device waits for a reset", v->name,
		    why);
	}
	virtio_config_interrupt(v);
}

bool
virtio_pop(struct virtio *v, unsigned queue, struct vq_chain *c)
{
	int n;

	if ((atomic_load(&v->status) & VIRTIO_S_NEEDS_RESET) != 0)
		return false;
	n = vq_pop(&v->queue[queue].vq, c);
	if (n < 0)
		virtio_fail(v, n == -EFAULT ?
		    "a descriptor points outside of memory" :
		    "the driver broke a virtqueue");
	return n > 0;
}

void
virtio_unpop(struct virtio *v, unsigned queue, unsigned n)
{
	vq_unpop(&v->queue[queue].vq, n);
}

unsigned
virtio_queue_size(const struct virtio *v, unsigned queue)
{
	return v->queue[queue].vq.size;
}

/*
 * An event that is fed has its watcher run after all that is pending and more
 * urgent: after the completions of one turn, however many, and without a
 * wake-up of its own.
 */
void
virtio_push(struct virtio *v, unsigned queue, uint16_t head, uint32_t len)
{
	if ((atomic_load(&v->status) & VIRTIO_S_NEEDS_RESET) != 0)
		return;
	vq_push(&v->queue[queue].vq, head, len);
	if (!ev_is_pending(&v->publish))
		ev_feed_event(loop_ev(v->host->loop), &v->publish,
		    EV_PREPARE);
}

static void
virtio_publish(struct ev_loop *ev, struct ev_prepare *w, int revents)
{
	struct virtio *v = w->data;
	bool vectors = atomic_load(&v->vectors), pin = false;
	unsigned i;

	(void)revents;
	ev_clear_pending(ev, w);
	if ((atomic_load(&v->status) & VIRTIO_S_NEEDS_RESET) != 0)
		return;
	for (i = 0; i < v->ops->nqueues; i++) {
		if (!vq_publish(&v->queue[i].vq))
			continue;
		if (vectors)
			virtio_signal(&v->queue[i].vector);
		else
			pin = true;
	}
	if (pin)
		virtio_set_isr(v, VIRTIO_ISR_QUEUE);
}

static int
virtio_save_queue(const struct virtio_queue *q, struct state_writer *w)
{
	struct virtio_queue_state s = { 0 };

	if (atomic_load(&q->enabled)) {
		s.desc = q->cfg.desc;
		s.avail = q->cfg.avail;
		s.used = q->cfg.used;
		s.size = q->cfg.size;
		s.enabled = 1;
		s.position = vq_position(&q->vq);
	}
	return state_put(w, "virtqueue", 1, &s, sizeof(s));
}

int
virtio_save(const struct virtio *v, struct state_writer *w)
{
	struct virtio_state s = {
		.features = v->features,
		.status = atomic_load(&v->status),
		.isr = atomic_load(&v->isr),
		.generation = atomic_load(&v->generation),
	};
	unsigned i;
	int error;

	if (v->running)
		return -EBUSY;
	error = state_put(w, "virtio", 1, &s, sizeof(s));
	for (i = 0; error == 0 && i < v->ops->nqueues; i++)
		error = virtio_save_queue(&v->queue[i], w);
	if (error == 0 && v->ops->save != NULL)
		error = v->ops->save(v->dev, w);
	return error;
}

static int
virtio_load_queue(struct virtio_queue *q, uint8_t status,
    struct state_reader *r)
{
	const struct virtio *v = q->v;
	struct virtio_queue_state s;
	int error;

	error = state_get(r, "virtqueue", 1, &s, sizeof(s));
	if (error != 0 || s.enabled == 0)
		return error;
	if (s.enabled != 1 || s.size > v->ops->queue_max)
		return -EINVAL;
	q->cfg = (struct vq_config){ s.size, s.desc, s.avail, s.used };
	if ((status & VIRTIO_S_DRIVER_OK) != 0 &&
	    (status & VIRTIO_S_NEEDS_RESET) == 0)
		error = vq_start(&q->vq, v->gm, &q->cfg, v->features);
	/* One that waits for a reset is only to be saved again. */
	vq_seek(&q->vq, s.position);
	atomic_store(&q->enabled, true);
	return error;
}

static bool
virtio_state_ok(const struct virtio *v, const struct virtio_state *s)
{
	if ((s->status & ~(VIRTIO_S_DRIVER_BITS | VIRTIO_S_NEEDS_RESET)) != 0)
		return false;
	if ((s->isr & ~(VIRTIO_ISR_QUEUE | VIRTIO_ISR_CONFIG)) != 0)
		return false;
	if ((s->status & VIRTIO_S_FEATURES_OK) != 0)
		return virtio_acceptable(v, s->features);
	return s->features == 0 && (s->status & VIRTIO_S_DRIVER_OK) == 0;
}

int
virtio_load(struct virtio *v, struct state_reader *r)
{
	struct virtio_state s;
	unsigned i;
	int error;

	if (v->running || atomic_load(&v->status) != 0)
		return -EBUSY;
	error = state_get(r, "virtio", 1, &s, sizeof(s));
	if (error == 0 && !virtio_state_ok(v, &s))
		error = -EINVAL;
	if (error != 0)
		return error;
	v->features = s.features;
	for (i = 0; error == 0 && i < v->ops->nqueues; i++)
		error = virtio_load_queue(&v->queue[i], s.status, r);
	if (error == 0 && v->ops->load != NULL)
		error = v->ops->load(v->dev, v->features, r);
	if (error != 0) {
		virtio_clear(v);
		return error;
	}
	atomic_store(&v->isr, s.isr);
	atomic_store(&v->generation, s.generation);
	atomic_store(&v->status, s.status);
	return 0;
}
