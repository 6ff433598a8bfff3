// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A VM: its memory ranges, CPUID table and vCPUs.  The file descriptor and
 * each vCPU hold a reference; the last one to go frees it.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/tsc.h>

#include "kcompat.h"
#include "vmm.h"

static atomic64_t vm_next_id = ATOMIC64_INIT(1);

/*
 * The end of the daemon's address space, or of the VM if that is earlier.  No
 * vCPU runs, nor ever will.  Whoever was handed the descriptors keeps no memory
 * that is charged to nobody.
 */
static void vm_mm_release(struct mmu_notifier *n, struct mm_struct *mm)
{
	struct vm *vm = container_of(n, struct vm, mm_end);

	mutex_lock(&vm->lock);
	mem_free(vm);
	mutex_unlock(&vm->lock);
}

static const struct mmu_notifier_ops vm_mm_end_ops = {
	.release = vm_mm_release,
};

static void vm_free(struct kref *ref)
{
	struct vm *vm = container_of(ref, struct vm, ref);
	int i;

	pvclock_end(vm);
	mmu_notifier_unregister(&vm->mm_end, vm->mm);
	mutex_destroy(&vm->lock);
	doorbell_free_all(vm);
	msi_free_all(vm);
	for (i = 0; i < VMM_MAX_VCPUS; i++)
		kfree(vm->vcpu[i]);
	kfree(vm->block);
	kfree(vm->cpuid);
	kfree(vm);
	atomic_long_dec(&vmm_counters.vms);
	vmm_host_put();
}

void vm_get(struct vm *vm)
{
	kref_get(&vm->ref);
}

void vm_put(struct vm *vm)
{
	kref_put(&vm->ref, vm_free);
}

static int vm_set_memory(struct vm *vm, const void __user *arg)
{
	struct vmm_memory m;
	int ret;

	if (copy_from_user(&m, arg, sizeof(m)))
		return -EFAULT;
	mutex_lock(&vm->lock);
	ret = vm->nvcpus ? -EBUSY : mem_add(vm, &m);
	mutex_unlock(&vm->lock);
	return ret;
}

static int vm_discard(struct vm *vm, const void __user *arg)
{
	struct vmm_discard d;
	int ret;

	if (copy_from_user(&d, arg, sizeof(d)))
		return -EFAULT;
	mutex_lock(&vm->lock);
	ret = discard_range(vm, &d);
	mutex_unlock(&vm->lock);
	return ret;
}

static int vm_dirty_log(struct vm *vm, unsigned long on)
{
	int ret;

	if (on > 1)
		return -EINVAL;
	mutex_lock(&vm->lock);
	ret = dirty_log(vm, on);
	mutex_unlock(&vm->lock);
	return ret;
}

static int vm_get_dirty(struct vm *vm, const void __user *arg)
{
	struct vmm_dirty d;
	int ret;

	if (copy_from_user(&d, arg, sizeof(d)))
		return -EFAULT;
	mutex_lock(&vm->lock);
	ret = dirty_fetch(vm, &d);
	mutex_unlock(&vm->lock);
	return ret;
}

static bool cpuid_valid(const struct vmm_cpuid_entry *e, u32 n)
{
	u32 i;

	for (i = 0; i < n; i++)
		if ((e[i].flags & ~VMM_CPUID_SUBLEAF) || e[i].reserved)
			return false;
	return true;
}

static int vm_set_cpuid(struct vm *vm, const struct vmm_cpuid __user *arg)
{
	struct vmm_cpuid_entry *e, *old;
	u32 count, reserved;
	int ret = -EBUSY;

	if (get_user(count, &arg->count) ||
	    get_user(reserved, &arg->reserved))
		return -EFAULT;
	if (count > VMM_MAX_CPUID || reserved)
		return -EINVAL;
	e = memdup_user(arg->entry, count * sizeof(*e));
	if (IS_ERR(e))
		return PTR_ERR(e);
	if (!cpuid_valid(e, count)) {
		kfree(e);
		return -EINVAL;
	}
	cpuid_prepare(e, count);
	old = e;
	mutex_lock(&vm->lock);
	if (vm->nvcpus == 0) {
		old = vm->cpuid;
		vm->cpuid = e;
		vm->ncpuid = count;
		ret = 0;
	}
	mutex_unlock(&vm->lock);
	kfree(old);
	return ret;
}

static long vm_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct vm *vm = file->private_data;

	if (current->mm != vm->mm)
		return -EIO;
	switch (cmd) {
	case VMM_SET_MEMORY:
		return vm_set_memory(vm, (void __user *)arg);
	case VMM_MEM_DISCARD:
		return vm_discard(vm, (void __user *)arg);
	case VMM_DIRTY_LOG:
		return vm_dirty_log(vm, arg);
	case VMM_GET_DIRTY:
		return vm_get_dirty(vm, (void __user *)arg);
	case VMM_SET_CPUID:
		return vm_set_cpuid(vm, (void __user *)arg);
	case VMM_DOORBELL:
		return doorbell_set(vm, (void __user *)arg);
	case VMM_MSI:
		return msi_send(vm, (void __user *)arg);
	case VMM_MSI_EVENT:
		return msi_event_set(vm, (void __user *)arg);
	case VMM_CREATE_VCPU:
		return vcpu_create_fd(vm, arg);
	default:
		return -ENOTTY;
	}
}

static int vm_release(struct inode *inode, struct file *file)
{
	vm_put(file->private_data);
	return 0;
}

static const struct file_operations vm_fops = {
	.owner = THIS_MODULE,
	.release = vm_release,
	.unlocked_ioctl = vm_ioctl,
	.llseek = noop_llseek,
};

static struct vm *vm_alloc(void)
{
	struct vm *vm;
	int ret = -ENOMEM;

	vm = kzalloc(sizeof(*vm), GFP_KERNEL_ACCOUNT);
	if (!vm)
		return ERR_PTR(-ENOMEM);
	vm->block = kcalloc(BLOCK_PAGES, sizeof(*vm->block),
			    GFP_KERNEL_ACCOUNT);
	vm->npt = npt_alloc_root();
	if (!vm->block || !vm->npt)
		goto err;
	kref_init(&vm->ref);
	mutex_init(&vm->lock);
	doorbell_init(vm);
	msi_init(vm);
	vm->mm = current->mm;
	vm->id = atomic64_inc_return(&vm_next_id);
	vm->tsc_base = rdtsc_ordered();
	pvclock_init(vm);
	vm->mm_end.ops = &vm_mm_end_ops;
	ret = mmu_notifier_register(&vm->mm_end, vm->mm);
	if (ret)
		goto err;
	return vm;

err:
	npt_free(vm, NULL);
	kfree(vm->block);
	kfree(vm);
	/* It does not wait when a signal is pending. */
	return ERR_PTR(ret == -EINTR ? -ERESTARTNOINTR : ret);
}

int vm_create_fd(void)
{
	struct vm *vm;
	int ret;

	ret = vmm_host_get();
	if (ret)
		return ret;
	vm = vm_alloc();
	if (IS_ERR(vm)) {
		vmm_host_put();
		return PTR_ERR(vm);
	}
	atomic_long_inc(&vmm_counters.vms);
	ret = anon_inode_getfd("vmm-vm", &vm_fops, vm, O_RDWR | O_CLOEXEC);
	if (ret < 0)
		vm_put(vm);
	return ret;
}
