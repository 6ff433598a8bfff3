// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Two ways between a guest and those who serve it, both by eventfd: a doorbell
 * is a port whose writes signal one, without an exit to the daemon; an irq
 * event is one whose signal reaches a vCPU, wherever that is.
 */
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/nospec.h>
#include <linux/poll.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/wait.h>
#include <linux/xarray.h>

#include "kcompat.h"
#include "vmm.h"

/* Found by its port, under RCU. */
struct doorbell {
	struct rcu_head		 rcu;
	struct eventfd_ctx	*event;		/* I */
	u8			 size;		/* I, bytes */
};

struct irq_event {
	struct watch	 watch;
	struct vcpu	*vcpu;		/* I */
	unsigned int	 line;		/* I */
};

void doorbell_init(struct vm *vm)
{
	xa_init_flags(&vm->doorbells, XA_FLAGS_ACCOUNT);
}

/*
 * Most ports of most guests are nowhere near a doorbell: a bit for 256 of them
 * spares the look at the tree.  It stays set once it is.
 */
#define DOORBELL_PAGE(port)	((port) >> 8)

bool doorbell_ring(struct vm *vm, u16 port, u8 size)
{
	struct doorbell *d;
	bool rung = false;

	if (!test_bit(DOORBELL_PAGE(port), vm->doorbell_pages))
		return false;
	rcu_read_lock();
	d = xa_load(&vm->doorbells, port);
	if (d && d->size == size) {
		kcompat_eventfd_signal(d->event);
		rung = true;
	}
	rcu_read_unlock();
	return rung;
}

static void doorbell_free(struct doorbell *d)
{
	eventfd_ctx_put(d->event);
	kfree(d);
}

static void doorbell_free_rcu(struct rcu_head *rcu)
{
	doorbell_free(container_of(rcu, struct doorbell, rcu));
}

void doorbell_free_all(struct vm *vm)
{
	struct doorbell *d;
	unsigned long port;

	xa_for_each(&vm->doorbells, port, d)
		doorbell_free(d);
	xa_destroy(&vm->doorbells);
}

static int doorbell_add(struct vm *vm, const struct vmm_doorbell *arg)
{
	struct doorbell *d;
	int ret;

	if (vm->ndoorbells == VMM_MAX_DOORBELLS)
		return -ENOSPC;
	d = kzalloc(sizeof(*d), GFP_KERNEL_ACCOUNT);
	if (!d)
		return -ENOMEM;
	d->size = arg->size;
	d->event = eventfd_ctx_fdget(arg->fd);
	if (IS_ERR(d->event)) {
		ret = PTR_ERR(d->event);
		kfree(d);
		return ret;
	}
	ret = xa_insert(&vm->doorbells, arg->port, d, GFP_KERNEL);
	if (ret) {
		doorbell_free(d);
		return ret == -EBUSY ? -EEXIST : ret;
	}
	set_bit(DOORBELL_PAGE(arg->port), vm->doorbell_pages);
	vm->ndoorbells++;
	return 0;
}

static int doorbell_remove(struct vm *vm, const struct vmm_doorbell *arg)
{
	struct doorbell *d = xa_load(&vm->doorbells, arg->port);

	if (!d || d->size != arg->size)
		return -ENOENT;
	xa_erase(&vm->doorbells, arg->port);
	vm->ndoorbells--;
	call_rcu(&d->rcu, doorbell_free_rcu);
	return 0;
}

int doorbell_set(struct vm *vm, const void __user *uarg)
{
	struct vmm_doorbell arg;
	int ret;

	if (copy_from_user(&arg, uarg, sizeof(arg)))
		return -EFAULT;
	if ((arg.size != 1 && arg.size != 2 && arg.size != 4) ||
	    arg.port + arg.size > 0x10000 || arg.reserved ||
	    (arg.flags & ~VMM_EVENT_REMOVE) ||
	    ((arg.flags & VMM_EVENT_REMOVE) && arg.fd != -1))
		return -EINVAL;
	mutex_lock(&vm->lock);
	if (arg.flags & VMM_EVENT_REMOVE)
		ret = doorbell_remove(vm, &arg);
	else
		ret = doorbell_add(vm, &arg);
	mutex_unlock(&vm->lock);
	return ret;
}

/*
 * Takes the count, so that the eventfd never fills up.  An eventfd has one
 * watch at most: a signal calls all of them with interrupts off.
 */
static int watch_wake(wait_queue_entry_t *wait, unsigned int mode, int sync,
		      void *key)
{
	struct watch *w = container_of(wait, struct watch, wait);
	u64 count;

	if (key_to_poll(key) & EPOLLIN) {
		eventfd_ctx_do_read(w->event, &count);
		w->fire(w);
	}
	return 0;
}

static void watch_queue(struct file *file, wait_queue_head_t *queue,
			poll_table *poll)
{
	struct watch *w = container_of(poll, struct watch, poll);
	wait_queue_entry_t *other;

	spin_lock_irq(&queue->lock);
	list_for_each_entry(other, &queue->head, entry)
		if (other->func == watch_wake)
			goto out;
	__add_wait_queue(queue, &w->wait);
	w->queue = queue;
out:
	spin_unlock_irq(&queue->lock);
}

int watch_start(struct watch *w, int fd, void (*fire)(struct watch *w))
{
	__poll_t ready;
	u64 count;
	int ret;

	w->fire = fire;
	w->file = fget(fd);
	if (!w->file)
		return -EBADF;
	w->event = eventfd_ctx_fileget(w->file);
	if (IS_ERR(w->event)) {
		ret = PTR_ERR(w->event);
		goto err_file;
	}
	init_waitqueue_func_entry(&w->wait, watch_wake);
	init_poll_funcptr(&w->poll, watch_queue);
	ready = vfs_poll(w->file, &w->poll);
	if (!w->queue) {
		ret = -EBUSY;
		goto err_event;
	}
	if (!(ready & EPOLLIN))
		return 0;
	spin_lock_irq(&w->queue->lock);
	eventfd_ctx_do_read(w->event, &count);
	w->fire(w);
	spin_unlock_irq(&w->queue->lock);
	return 0;

err_event:
	eventfd_ctx_put(w->event);
err_file:
	fput(w->file);
	return ret;
}

void watch_stop(struct watch *w)
{
	u64 count;

	eventfd_ctx_remove_wait_queue(w->event, &w->wait, &count);
	eventfd_ctx_put(w->event);
	fput(w->file);
}

static void irq_event_fire(struct watch *w)
{
	struct irq_event *e = container_of(w, struct irq_event, watch);

	vcpu_raise(e->vcpu, e->line);
}

static void irq_event_free(struct irq_event *e)
{
	watch_stop(&e->watch);
	kfree(e);
}

static int irq_event_add(struct vcpu *v, const struct vmm_irq_event *arg)
{
	struct irq_event *e;
	int ret;

	if (v->irq_event[arg->line])
		return -EEXIST;
	e = kzalloc(sizeof(*e), GFP_KERNEL_ACCOUNT);
	if (!e)
		return -ENOMEM;
	e->vcpu = v;
	e->line = arg->line;
	ret = watch_start(&e->watch, arg->fd, irq_event_fire);
	if (ret) {
		kfree(e);
		return ret;
	}
	v->irq_event[arg->line] = e;
	return 0;
}

static int irq_event_remove(struct vcpu *v, u32 line)
{
	if (!v->irq_event[line])
		return -ENOENT;
	irq_event_free(v->irq_event[line]);
	v->irq_event[line] = NULL;
	return 0;
}

int irq_event_set(struct vcpu *v, const void __user *uarg)
{
	struct vmm_irq_event arg;
	int ret;

	if (copy_from_user(&arg, uarg, sizeof(arg)))
		return -EFAULT;
	if (arg.line >= VMM_MAX_IRQ_EVENTS || arg.reserved ||
	    (arg.flags & ~VMM_EVENT_REMOVE) ||
	    ((arg.flags & VMM_EVENT_REMOVE) && arg.fd != -1) ||
	    memchr_inv(arg.reserved2, 0, sizeof(arg.reserved2)))
		return -EINVAL;
	arg.line = array_index_nospec(arg.line, VMM_MAX_IRQ_EVENTS);
	mutex_lock(&v->vm->lock);
	if (arg.flags & VMM_EVENT_REMOVE)
		ret = irq_event_remove(v, arg.line);
	else
		ret = irq_event_add(v, &arg);
	mutex_unlock(&v->vm->lock);
	return ret;
}

void irq_event_free_all(struct vcpu *v)
{
	unsigned int i;

	for (i = 0; i < VMM_MAX_IRQ_EVENTS; i++)
		if (v->irq_event[i])
			irq_event_free(v->irq_event[i]);
}
