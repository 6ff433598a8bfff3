// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Interrupt messages of devices to a VM's local APICs: sent by a call, or by
 * the signal to an eventfd, which no thread of the daemon's has to see.
 */
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/uaccess.h>

#include "vmm.h"

struct msi_event {
	struct watch	 watch;
	struct vm	*vm;		/* I */
	struct lapic_msg msg;		/* the eventfd's queue lock */
};

void msi_init(struct vm *vm)
{
	xa_init_flags(&vm->msi_events, XA_FLAGS_ACCOUNT);
}

int msi_send(struct vm *vm, const void __user *uarg)
{
	struct lapic_msg msg;
	struct vmm_msi arg;

	if (copy_from_user(&arg, uarg, sizeof(arg)))
		return -EFAULT;
	if (arg.flags || lapic_msg_from_msi(arg.addr, arg.data, &msg))
		return -EINVAL;
	apic_send(vm, &msg, LAPIC_BROADCAST);
	return 0;
}

static void msi_event_fire(struct watch *w)
{
	struct msi_event *e = container_of(w, struct msi_event, watch);

	apic_send(e->vm, &e->msg, LAPIC_BROADCAST);
}

static void msi_event_free(struct msi_event *e)
{
	watch_stop(&e->watch);
	kfree(e);
}

void msi_free_all(struct vm *vm)
{
	struct msi_event *e;
	unsigned long slot;

	xa_for_each(&vm->msi_events, slot, e)
		msi_event_free(e);
	xa_destroy(&vm->msi_events);
}

/* In place of the slot's old one, which stays if the new one fails. */
static int msi_event_add(struct vm *vm, const struct vmm_msi_event *arg,
			 const struct lapic_msg *msg)
{
	struct msi_event *e, *old;
	int ret;

	e = kzalloc(sizeof(*e), GFP_KERNEL_ACCOUNT);
	if (!e)
		return -ENOMEM;
	e->vm = vm;
	e->msg = *msg;
	/* Room first: what waits in the eventfd is gone once it is taken. */
	ret = xa_reserve(&vm->msi_events, arg->slot, GFP_KERNEL);
	if (ret)
		goto err;
	ret = watch_start(&e->watch, arg->fd, msi_event_fire);
	if (ret)
		goto err_room;
	old = xa_store(&vm->msi_events, arg->slot, e, GFP_KERNEL);
	if (old)
		msi_event_free(old);
	return 0;

err_room:
	xa_release(&vm->msi_events, arg->slot);
err:
	kfree(e);
	return ret;
}

static int msi_event_remove(struct vm *vm, u32 slot)
{
	struct msi_event *e = xa_erase(&vm->msi_events, slot);

	if (!e)
		return -ENOENT;
	msi_event_free(e);
	return 0;
}

/* Of the same eventfd each signal sends the old message or the new one. */
static int msi_event_change(struct vm *vm, struct msi_event *e,
			    const struct vmm_msi_event *arg,
			    const struct lapic_msg *msg)
{
	struct eventfd_ctx *event = eventfd_ctx_fdget(arg->fd);
	bool same;

	if (IS_ERR(event))
		return PTR_ERR(event);
	same = event == e->watch.event;
	eventfd_ctx_put(event);
	if (!same)
		return msi_event_add(vm, arg, msg);
	spin_lock_irq(&e->watch.queue->lock);
	e->msg = *msg;
	spin_unlock_irq(&e->watch.queue->lock);
	return 0;
}

static int msi_event_bind(struct vm *vm, const struct vmm_msi_event *arg)
{
	struct msi_event *e = xa_load(&vm->msi_events, arg->slot);
	struct lapic_msg msg;

	if (lapic_msg_from_msi(arg->addr, arg->data, &msg))
		return -EINVAL;
	return e ? msi_event_change(vm, e, arg, &msg) :
		   msi_event_add(vm, arg, &msg);
}

int msi_event_set(struct vm *vm, const void __user *uarg)
{
	struct vmm_msi_event arg;
	int ret;

	if (copy_from_user(&arg, uarg, sizeof(arg)))
		return -EFAULT;
	if (arg.slot >= VMM_MAX_MSI_EVENTS || arg.reserved ||
	    (arg.flags & ~VMM_EVENT_REMOVE) ||
	    ((arg.flags & VMM_EVENT_REMOVE) &&
	     (arg.fd != -1 || arg.addr || arg.data)))
		return -EINVAL;
	mutex_lock(&vm->lock);
	if (arg.flags & VMM_EVENT_REMOVE)
		ret = msi_event_remove(vm, arg.slot);
	else
		ret = msi_event_bind(vm, &arg);
	mutex_unlock(&vm->lock);
	return ret;
}
