// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The module: /dev/vmm, its counters in sysfs, and the switch that turns
 * virtualization on with the first VM and off after the last.
 */
#define pr_fmt(fmt) "vmm: " fmt

#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/reboot.h>
#include <linux/slab.h>
#include <linux/syscore_ops.h>
#include <linux/uaccess.h>
#include <asm/tsc.h>

#include "kcompat.h"
#include "vmm.h"

const struct cpu_ops *vmm_cpu;
DEFINE_STATIC_CALL_NULL(vmm_cpu_load, *((struct cpu_ops *)NULL)->load);
DEFINE_STATIC_CALL_NULL(vmm_cpu_put, *((struct cpu_ops *)NULL)->put);
DEFINE_STATIC_CALL_NULL(vmm_cpu_rax, *((struct cpu_ops *)NULL)->rax);
DEFINE_STATIC_CALL_NULL(vmm_cpu_set_rax, *((struct cpu_ops *)NULL)->set_rax);
DEFINE_STATIC_CALL_NULL(vmm_cpu_enter, *((struct cpu_ops *)NULL)->enter);
DEFINE_STATIC_CALL_NULL(vmm_cpu_handle_fast,
			*((struct cpu_ops *)NULL)->handle_fast);
DEFINE_STATIC_CALL_NULL(vmm_cpu_intr_ready,
			*((struct cpu_ops *)NULL)->intr_ready);
DEFINE_STATIC_CALL_NULL(vmm_cpu_intr_window,
			*((struct cpu_ops *)NULL)->intr_window);
DEFINE_STATIC_CALL_NULL(vmm_cpu_inject, *((struct cpu_ops *)NULL)->inject);
struct vmm_counters vmm_counters;
bool vmm_rebooting;			/* set once */

static DEFINE_MUTEX(host_lock);
static unsigned int host_users;		/* host_lock */
static enum cpuhp_state host_hp;	/* host_lock */

static int host_online(unsigned int cpu)
{
	int ret;

	preempt_disable();
	ret = vmm_cpu->cpu_enable();
	preempt_enable();
	if (ret)
		pr_err_ratelimited("CPU %u: virtualization is in use by another hypervisor: stop its guests and unload it (rmmod kvm_amd kvm_intel kvm)\n",
		       cpu);
	return ret;
}

static int host_offline(unsigned int cpu)
{
	preempt_disable();
	vmm_cpu->cpu_disable();
	preempt_enable();
	return 0;
}

/*
 * The boot CPU comes back from suspend with virtualization off, and none of
 * the hotplug callbacks runs for it.
 */
static int host_suspend(void)
{
	if (host_users)
		vmm_cpu->cpu_disable();
	return 0;
}

static void host_resume(void)
{
	if (host_users && vmm_cpu->cpu_enable())
		pr_err("virtualization is in use by another hypervisor since resume\n");
}

static struct syscore_ops host_syscore_ops = {
	.suspend = host_suspend,
	.resume = host_resume,
};

int vmm_host_get(void)
{
	int ret = 0;

	mutex_lock(&host_lock);
	if (vmm_rebooting) {
		ret = -ESHUTDOWN;
	} else if (host_users == 0) {
		ret = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "vmm:online",
					host_online, host_offline);
		if (ret >= 0) {
			host_hp = ret;
			ret = 0;
		}
	}
	if (ret == 0)
		host_users++;
	mutex_unlock(&host_lock);
	return ret;
}

void vmm_host_put(void)
{
	mutex_lock(&host_lock);
	if (--host_users == 0)
		cpuhp_remove_state(host_hp);
	mutex_unlock(&host_lock);
}

/*
 * A kernel started by kexec must find virtualization off.  The vCPUs look at
 * vmm_rebooting with interrupts off, so none is between that look and the
 * guest when its CPU gets the interrupt.
 */
static void host_reboot_cpu(void *unused)
{
	vmm_cpu->cpu_disable();
}

static int host_reboot(struct notifier_block *nb, unsigned long action,
		       void *unused)
{
	mutex_lock(&host_lock);
	WRITE_ONCE(vmm_rebooting, true);
	if (host_users)
		on_each_cpu(host_reboot_cpu, NULL, 1);
	mutex_unlock(&host_lock);
	return NOTIFY_OK;
}

static struct notifier_block host_reboot_nb = {
	.notifier_call = host_reboot,
};

static int vmm_get_info(void __user *arg)
{
	struct vmm_info info = {
		.abi = VMM_ABI,
		.run_size = PAGE_SIZE,
		.tsc_khz = tsc_khz,
		.features = check_tsc_unstable() ? 0 : VMM_FEATURE_STABLE_TSC,
	};

	return copy_to_user(arg, &info, sizeof(info)) ? -EFAULT : 0;
}

static int vmm_get_cpuid(struct vmm_cpuid __user *arg)
{
	struct vmm_cpuid *c;
	u32 room, reserved;
	int ret = 0;

	if (get_user(room, &arg->count) || get_user(reserved, &arg->reserved))
		return -EFAULT;
	if (reserved)
		return -EINVAL;
	c = kzalloc(sizeof(*c), GFP_KERNEL);
	if (!c)
		return -ENOMEM;
	cpuid_supported(c);
	if (room < c->count)
		ret = -E2BIG;
	else if (copy_to_user(arg, c, offsetof(struct vmm_cpuid, entry) +
			      c->count * sizeof(c->entry[0])))
		ret = -EFAULT;
	kfree(c);
	return ret;
}

static long vmm_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	switch (cmd) {
	case VMM_GET_INFO:
		return vmm_get_info((void __user *)arg);
	case VMM_GET_CPUID:
		return vmm_get_cpuid((void __user *)arg);
	case VMM_CREATE_VM:
		return arg ? -EINVAL : vm_create_fd();
	default:
		return -ENOTTY;
	}
}

static const struct file_operations vmm_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = vmm_ioctl,
	.llseek = noop_llseek,
};

#define COUNTER_ATTR(name)						\
static ssize_t name##_show(struct device *dev,				\
			   struct device_attribute *attr, char *buf)	\
{									\
	return sysfs_emit(buf, "%ld\n",					\
			  atomic_long_read(&vmm_counters.name));	\
}									\
static DEVICE_ATTR_RO(name)

COUNTER_ATTR(vms);
COUNTER_ATTR(vcpus);
COUNTER_ATTR(npt_pages);
COUNTER_ATTR(pinned_pages);
COUNTER_ATTR(npt_faults);

static struct attribute *vmm_attrs[] = {
	&dev_attr_vms.attr,
	&dev_attr_vcpus.attr,
	&dev_attr_npt_pages.attr,
	&dev_attr_pinned_pages.attr,
	&dev_attr_npt_faults.attr,
	NULL
};
ATTRIBUTE_GROUPS(vmm);

static struct miscdevice vmm_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "vmm",
	.fops = &vmm_fops,
	.mode = 0660,
	.groups = vmm_groups,
};

static void __init vmm_use_cpu(const struct cpu_ops *ops)
{
	vmm_cpu = ops;
	static_call_update(vmm_cpu_load, ops->load);
	static_call_update(vmm_cpu_put, ops->put);
	static_call_update(vmm_cpu_rax, ops->rax);
	static_call_update(vmm_cpu_set_rax, ops->set_rax);
	static_call_update(vmm_cpu_enter, ops->enter);
	static_call_update(vmm_cpu_handle_fast, ops->handle_fast);
	static_call_update(vmm_cpu_intr_ready, ops->intr_ready);
	static_call_update(vmm_cpu_intr_window, ops->intr_window);
	static_call_update(vmm_cpu_inject, ops->inject);
}

static int __init vmm_init(void)
{
	int ret;

	if (!tsc_khz) {
		pr_err("this host has no usable TSC\n");
		return -EOPNOTSUPP;
	}
	vmm_use_cpu(&svm_ops);
	ret = vmm_cpu->check();
	if (ret)
		return ret;
	ret = fpu_init();
	if (ret)
		return ret;
	ret = vmm_cpu->init();
	if (ret)
		return ret;
	register_syscore_ops(&host_syscore_ops);
	register_reboot_notifier(&host_reboot_nb);
	ret = misc_register(&vmm_misc);
	if (ret)
		goto err_hooks;
	pr_info("%s\n", vmm_cpu->name);
	return 0;

err_hooks:
	unregister_reboot_notifier(&host_reboot_nb);
	unregister_syscore_ops(&host_syscore_ops);
	vmm_cpu->exit();
	return ret;
}

static void __exit vmm_exit(void)
{
	misc_deregister(&vmm_misc);
	unregister_reboot_notifier(&host_reboot_nb);
	unregister_syscore_ops(&host_syscore_ops);
	vmm_cpu->exit();
	rcu_barrier();		/* for doorbells that are being freed */
}

module_init(vmm_init);
module_exit(vmm_exit);

MODULE_DESCRIPTION("Minimal virtual machine monitor");
MODULE_AUTHOR("The vmmd authors");
MODULE_LICENSE("Dual BSD/GPL");
