// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A virtual CPU: its file descriptor, the page it shares with the daemon's
 * thread, and the loop that enters the guest.
 *
 * The loop has two halves.  Between fpu_load() and fpu_put() preemption is
 * off and the guest is entered again and again, as long as each exit can be
 * handled at once.  Whatever may sleep, wait or reschedule happens outside.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/ktime.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/nospec.h>
#include <linux/percpu.h>
#include <linux/sched/signal.h>
#include <linux/sched/stat.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/uaccess.h>
#include <linux/vtime.h>
#include <asm/nospec-branch.h>
#include <asm/trapnr.h>
#include <asm/tsc.h>

#include "kcompat.h"
#include "vmm.h"

#define SIGNAL_FLAGS	(_TIF_SIGPENDING | _TIF_NOTIFY_SIGNAL)
/* Whatever the thread must leave the kernel, or the CPU, for. */
#define LEAVE_FLAGS	(SIGNAL_FLAGS | _TIF_NOTIFY_RESUME | _TIF_NEED_RESCHED)

/* The first time that a halted vCPU stays awake, ns. */
#define HALT_POLL_START	10000

static unsigned int halt_poll_ns = 200000;
module_param(halt_poll_ns, uint, 0644);
MODULE_PARM_DESC(halt_poll_ns,
		 "How long a halted vCPU stays awake at most, ns (0: never)");

/*
 * Whoever raises a line or posts sets a bit, then looks whether the vCPU is in
 * guest mode; the vCPU says that it is, then looks for a bit.
 */
void vcpu_kick(struct vcpu *v)
{
	int cpu;

	preempt_disable();
	/* In this order: before it is first in guest mode it has no CPU. */
	if (smp_load_acquire(&v->in_guest)) {
		cpu = READ_ONCE(v->cpu);
		/* On ours something has ended guest mode, or we'd not run. */
		if (cpu != smp_processor_id())
			smp_send_reschedule(cpu);
	} else {
		rcuwait_wake_up(&v->wait);
	}
	preempt_enable();
}

void vcpu_raise(struct vcpu *v, unsigned int line)
{
	set_bit(line, &v->irqs);
	/* Pairs with vcpu_run_fast(). */
	smp_mb__after_atomic();
	vcpu_kick(v);
}

static bool vcpu_must_return(struct vcpu *v)
{
	return READ_ONCE(v->irqs) ||
	       (read_thread_flags() & SIGNAL_FLAGS) ||
	       READ_ONCE(v->run->immediate_exit) || READ_ONCE(vmm_rebooting);
}

/* The vCPU that a CPU runs, or ran last: its key. */
static DEFINE_PER_CPU(u64, vcpu_last);

/* Never used twice, and from it its VM's id can be told. */
static u64 vcpu_key(const struct vcpu *v)
{
	return v->vm->id * VMM_MAX_VCPUS + v->id;
}

static bool vcpu_ran_there(int cpu, void *arg)
{
	const struct vm *vm = arg;

	return READ_ONCE(per_cpu(vcpu_last, cpu)) / VMM_MAX_VCPUS == vm->id;
}

static void vcpu_left_guest(void *unused)
{
}

/*
 * An interrupt ends guest mode.  vcpu_enter() looks at the generation with
 * interrupts off, so the CPU that has taken it will not enter with the old.
 */
void vcpu_flush_tlb(struct vm *vm)
{
	atomic64_inc(&vm->tlb_gen);
	/* Pairs with vcpu_load(): it sees the generation, or we the VM. */
	smp_mb();
	on_each_cpu_cond(vcpu_ran_there, vcpu_left_guest, vm, true);
}

/* Preemption off. */
static void vcpu_load(struct vcpu *v)
{
	const u64 key = vcpu_key(v);

	if (__this_cpu_read(vcpu_last) != key) {
		__this_cpu_write(vcpu_last, key);
		/* Pairs with vcpu_flush_tlb(). */
		smp_mb();
		/*
		 * The daemon's threads share one mm, so the host's own
		 * barrier, on a change of mm, never comes between two of its
		 * guests; and a guest cannot know which of its vCPUs share a
		 * CPU.
		 */
		indirect_branch_prediction_barrier();
		/* A thread keeps its vCPU; if not, another is yielded to. */
		if (v->task != current)
			yield_set_task(v, current);
	}
	/* What the guest teaches the predictors is not for the daemon. */
	kcompat_ibpb_exit_to_user();
	static_call(vmm_cpu_load)(v);
}

/* Interrupts off. */
static void vcpu_check_tlb(struct vcpu *v)
{
	const u64 gen = atomic64_read(&v->vm->tlb_gen);

	if (unlikely(v->tlb_gen != gen)) {
		v->tlb_gen = gen;
		vmm_cpu->flush(v);
	}
}

static void vcpu_enter(struct vcpu *v)
{
	u64 start;

	vcpu_check_tlb(v);
	vtime_account_guest_enter();
	start = rdtsc();
	static_call(vmm_cpu_enter)(v);
	v->guest_tsc += rdtsc() - start;
	if (unlikely(v->eoi.offered))
		eoi_take(v);
	WRITE_ONCE(v->run->guest_tsc, v->guest_tsc);
	WRITE_ONCE(v->in_guest, false);

	/* The tick that ended guest time is still to be charged to it. */
	local_irq_enable();
	WRITE_ONCE(v->run->exits, ++v->exits);
	local_irq_disable();
	vtime_account_guest_exit();
	local_irq_enable();
}

/* Enters the guest until an exit needs more than handle_fast(). */
static enum next vcpu_run_fast(struct vcpu *v)
{
	enum next next = NEXT_LOOP;

	fpu_load(v);
	vcpu_load(v);
	do {
		local_irq_disable();
		/* Pairs with vcpu_raise() and apic_post(). */
		smp_store_mb(v->in_guest, true);
		if ((read_thread_flags() & LEAVE_FLAGS) ||
		    READ_ONCE(v->irqs) || READ_ONCE(vmm_rebooting) ||
		    (unlikely(atomic_read(&v->posts)) && !apic_take(v))) {
			WRITE_ONCE(v->in_guest, false);
			local_irq_enable();
			next = NEXT_LOOP;
			break;
		}
		if (unlikely((v->lapic.irr.used | v->window) ||
			     (v->lapic.isr.used && v->eoi.word)))
			apic_interrupt(v);
		vcpu_enter(v);
		next = static_call(vmm_cpu_handle_fast)(v);
	} while (next == NEXT_ENTER);
	if (need_resched())
		steal_preempted(v);
	static_call(vmm_cpu_put)(v);
	fpu_put(v);
	return next;
}

bool vcpu_is_stuck(struct vcpu *v)
{
	return !apic_ends_wait(v) && !v->kicked && !vmm_cpu->event_pending(v) &&
	       (v->halted == VMM_HALTED_SIPI ||
		(v->halted && !static_call(vmm_cpu_intr_ready)(v)));
}

/* Could the PIC's interrupt be delivered on the next entry? */
static bool vcpu_takes_extint(struct vcpu *v)
{
	return v->id == 0 && v->halted != VMM_HALTED_SIPI &&
	       static_call(vmm_cpu_intr_ready)(v) &&
	       lapic_takes_extint(&v->lapic);
}

void vcpu_end_hlt(struct vcpu *v)
{
	if (v->halted == VMM_HALTED_HLT &&
	    (v->kicked || vmm_cpu->event_pending(v) ||
	     (apic_pending(v) >= 0 && static_call(vmm_cpu_intr_ready)(v)))) {
		v->halted = VMM_HALTED_NO;
		v->kicked = false;
	}
}

static bool vcpu_is_wanted(struct vcpu *v)
{
	return vcpu_must_return(v) || atomic_read(&v->posts);
}

/* Stays awake for a while, as long as nobody else wants this CPU. */
static void vcpu_poll(struct vcpu *v, u64 end)
{
	while (!vcpu_is_wanted(v) && !need_resched() &&
	       single_task_running() && ktime_get_ns() < end)
		cpu_relax();
}

/*
 * To sleep and to be woken costs more than a short wait is worth: one that
 * could have been had awake has the next stay so for longer, and one that
 * could not ends that.  So a guest that is idle sleeps.
 */
static void vcpu_learn(struct vcpu *v, u64 waited)
{
	const u64 most = READ_ONCE(halt_poll_ns);

	if (waited >= most)
		v->halt_poll = 0;
	else if (waited > v->halt_poll)
		v->halt_poll = clamp(v->halt_poll * 2,
				     min_t(u64, HALT_POLL_START, most), most);
}

/*
 * It may well be kicked, as long as another vCPU is not stuck.  The last that
 * becomes so is not to be missed: each says that it is, then looks.
 */
static bool vcpu_expects_kick(struct vcpu *v)
{
	unsigned int id, n = READ_ONCE(v->vm->vcpu_end);
	struct vcpu *other;

	if (v->halted != VMM_HALTED_HLT || !cpuid_has_unhalt(v->vm))
		return false;
	/* Between the two, and so is that of the others. */
	smp_mb();
	for (id = 0; id < n; id++) {
		/* Pairs with vcpu_publish(). */
		other = smp_load_acquire(&v->vm->vcpu[id]);
		if (other && !READ_ONCE(other->stuck))
			return true;
	}
	return false;
}

/* Sleeps until somebody posts, or wants the run to end; false: it is over. */
static bool vcpu_wait(struct vcpu *v)
{
	const u64 start = ktime_get_ns();

	/* The daemon is told once, or not at all. */
	if (!v->stuck && vcpu_is_stuck(v)) {
		WRITE_ONCE(v->stuck, true);
		if (!vcpu_expects_kick(v)) {
			v->run->reason = VMM_EXIT_HLT;
			return false;
		}
	}
	if (v->halt_poll && !v->stuck)
		vcpu_poll(v, start + min_t(u64, v->halt_poll,
					   READ_ONCE(halt_poll_ns)));
	rcuwait_wait_event(&v->wait, vcpu_is_wanted(v), TASK_INTERRUPTIBLE);
	if (!v->stuck)
		vcpu_learn(v, ktime_get_ns() - start);
	return true;
}

static int vcpu_run_loop(struct vcpu *v)
{
	enum next next = NEXT_LOOP;
	int ret;

	while (next != NEXT_USER) {
		cond_resched();
		if (atomic_read(&v->posts)) {
			ret = apic_take_all(v);
			if (ret)
				return ret;
		}
		/* Open already, perhaps by the HLT that STI's shadow covered */
		if ((v->window & WINDOW_WANTED) && vcpu_takes_extint(v)) {
			v->run->reason = VMM_EXIT_INTR_WINDOW;
			return 0;
		}
		if (vcpu_must_return(v)) {
			v->run->reason = VMM_EXIT_NONE;
			return 0;
		}
		/*
		 * The kernel has work to do on the way to user mode, as after
		 * each preemption of a thread with restartable sequences.
		 * No function for it is exported: go that way and come back,
		 * of which the daemon sees nothing.  Input has been taken.
		 */
		if (test_thread_flag(TIF_NOTIFY_RESUME))
			return restart_syscall();
		vcpu_end_hlt(v);
		if (v->halted) {
			if (!vcpu_wait(v))
				return 0;
			continue;
		}
		WRITE_ONCE(v->stuck, false);
		steal_update(v);
		next = vcpu_run_fast(v);
		if (next == NEXT_SLOW)
			next = vmm_cpu->handle_slow(v);
	}
	return 0;
}

/* Stores the daemon's answer to an IN as the CPU would have. */
static void vcpu_finish_io(struct vcpu *v)
{
	u64 rax, data;

	if (!v->io_in)
		return;
	v->io_in = false;
	rax = static_call(vmm_cpu_rax)(v);
	data = READ_ONCE(v->run->io.data);
	switch (v->io_size) {
	case 1:
		rax = (rax & ~0xffULL) | (data & 0xff);
		break;
	case 2:
		rax = (rax & ~0xffffULL) | (data & 0xffff);
		break;
	default:
		rax = data;	/* 32-bit results clear the upper half */
		break;
	}
	static_call(vmm_cpu_set_rax)(v, rax);
}

/* An NMI, or an exception as the CPU's own are. */
static bool event_valid(u64 event)
{
	u8 vector = event & VMM_EVENT_VECTOR;

	if (!(event & VMM_EVENT_VALID))
		return false;
	switch (event & VMM_EVENT_TYPE) {
	case VMM_EVENT_NMI:
		return event == (VMM_EVENT_VALID | VMM_EVENT_NMI |
				 X86_TRAP_NMI);
	case VMM_EVENT_EXCEPTION:
		return vector < 32 && vector != X86_TRAP_NMI &&
		       !(event & ~(VMM_EVENT_VECTOR | VMM_EVENT_TYPE |
				   VMM_EVENT_HAS_ERROR | VMM_EVENT_VALID |
				   VMM_EVENT_ERROR));
	default:
		return false;
	}
}

static bool is_nmi(u64 event)
{
	return (event & VMM_EVENT_TYPE) == VMM_EVENT_NMI;
}

/* What the daemon made of an instruction: registers, an exception or both. */
static int vcpu_take_event(struct vcpu *v)
{
	struct vmm_run *run = v->run;
	u64 event = READ_ONCE(run->event);

	if (event && !event_valid(event))
		return -EINVAL;
	if (event && !is_nmi(event) && vmm_cpu->event_busy(v))
		return -EAGAIN;
	if (READ_ONCE(run->set_regs)) {
		vmm_cpu->set_regs(v, &run->regs, !event || is_nmi(event));
		WRITE_ONCE(run->set_regs, 0);
	}
	if (event) {
		vmm_cpu->inject(v, event);
		WRITE_ONCE(run->event, 0);
		vcpu_end_hlt(v);
	}
	return 0;
}

static int vcpu_take_interrupt(struct vcpu *v)
{
	if (!READ_ONCE(v->run->inject))
		return 0;
	if (!vcpu_takes_extint(v))
		return -EAGAIN;
	static_call(vmm_cpu_inject)(v, VMM_EVENT_VALID | READ_ONCE(v->run->vector));
	WRITE_ONCE(v->run->inject, 0);
	v->halted = VMM_HALTED_NO;
	return 0;
}

/* Does the daemon have to decode an instruction, or to explain a state? */
static bool vcpu_shows_regs(const struct vmm_run *run)
{
	switch (READ_ONCE(run->reason)) {
	case VMM_EXIT_NONE:
	case VMM_EXIT_INTR_WINDOW:
	case VMM_EXIT_EOI:
		return false;
	case VMM_EXIT_IO:
		return READ_ONCE(run->io.flags) & VMM_IO_STRING;
	default:
		return true;
	}
}

static int vcpu_take_input(struct vcpu *v)
{
	int ret;

	if (READ_ONCE(v->run->resumed)) {
		WRITE_ONCE(v->run->resumed, 0);
		pvclock_stopped(v);
	}
	vcpu_finish_io(v);
	ret = vcpu_take_event(v);
	return ret ? ret : vcpu_take_interrupt(v);
}

/* For the PIC's interrupts, which go to vCPU 0. */
static void vcpu_want_window(struct vcpu *v, bool want)
{
	v->window &= WINDOW_CLASS;
	if (want && v->id == 0)
		v->window |= WINDOW_WANTED;
}

static int vcpu_run(struct vcpu *v)
{
	struct vmm_run *run = v->run;
	int ret;

	if (READ_ONCE(vmm_rebooting))
		return -ESHUTDOWN;
	if (v->shutdown) {
		run->reason = VMM_EXIT_SHUTDOWN;
	} else {
		vcpu_want_window(v, READ_ONCE(run->intr_window));
		ret = vcpu_take_input(v);
		if (ret == 0)
			ret = vcpu_run_loop(v);
		if (ret)
			return ret;
	}
	run->intr_ready = vcpu_takes_extint(v);
	run->halted = v->halted;
	run->irqs = READ_ONCE(v->irqs) ? xchg(&v->irqs, 0) : 0;
	if (vcpu_shows_regs(run))
		vmm_cpu->get_regs(v, &run->regs);
	return 0;
}

static long vcpu_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct vcpu *v = file->private_data;
	long ret;

	if (current->mm != v->vm->mm)
		return -EIO;
	if (cmd == VMM_IRQ_EVENT)	/* while it runs, too */
		return irq_event_set(v, (void __user *)arg);
	if (!mutex_trylock(&v->lock))
		return -EBUSY;
	switch (cmd) {
	case VMM_RUN:
		ret = arg ? -EINVAL : vcpu_run(v);
		break;
	case VMM_GET_STATE:
		ret = vcpu_get_state(v, (void __user *)arg);
		break;
	case VMM_SET_STATE:
		ret = vcpu_set_state(v, (void __user *)arg);
		break;
	case VMM_APIC_ACCESS:
		ret = apic_access(v, (void __user *)arg);
		break;
	case VMM_GET_APIC:
		ret = apic_get(v, (void __user *)arg);
		break;
	case VMM_SET_APIC:
		ret = apic_set(v, (void __user *)arg);
		break;
	default:
		ret = -ENOTTY;
		break;
	}
	mutex_unlock(&v->lock);
	return ret;
}

static int vcpu_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct vcpu *v = file->private_data;

	if (vma->vm_pgoff != 0 || vma_pages(vma) != 1 ||
	    !(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	vm_flags_set(vma, VM_DONTEXPAND | VM_DONTDUMP);
	return vm_insert_page(vma, vma->vm_start, virt_to_page(v->run));
}

static void vcpu_free(struct vcpu *v)
{
	/* It kicks nobody any more. */
	WRITE_ONCE(v->stuck, true);
	yield_set_task(v, NULL);
	irq_event_free_all(v);
	apic_free(v);
	vmm_cpu->vcpu_free(v);
	fpu_free(v->fpu);
	free_page((unsigned long)v->run);
	mutex_destroy(&v->lock);
	atomic_long_dec(&vmm_counters.vcpus);
}

/* What others know of it by its id stays until the VM goes. */
static int vcpu_release(struct inode *inode, struct file *file)
{
	struct vcpu *v = file->private_data;

	vcpu_free(v);
	vm_put(v->vm);
	return 0;
}

static const struct file_operations vcpu_fops = {
	.owner = THIS_MODULE,
	.release = vcpu_release,
	.unlocked_ioctl = vcpu_ioctl,
	.mmap = vcpu_mmap,
	.llseek = noop_llseek,
};

static struct vcpu *vcpu_alloc(struct vm *vm, unsigned int id)
{
	struct vcpu *v;
	int ret = -ENOMEM;

	v = kzalloc(sizeof(*v), GFP_KERNEL_ACCOUNT);
	if (!v)
		return ERR_PTR(-ENOMEM);
	mutex_init(&v->lock);
	spin_lock_init(&v->task_lock);
	v->vm = vm;
	v->id = id;
	v->cpu = -1;
	rcuwait_init(&v->wait);
	apic_init(v);
	v->run = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!v->run)
		goto err_vcpu;
	v->fpu = fpu_alloc();
	if (!v->fpu)
		goto err_run;
	ret = vmm_cpu->vcpu_init(v);
	if (ret)
		goto err_fpu;
	ret = vcpu_reset(v);
	if (ret)
		goto err_cpu;
	atomic_long_inc(&vmm_counters.vcpus);
	return v;

err_cpu:
	vmm_cpu->vcpu_free(v);
err_fpu:
	fpu_free(v->fpu);
err_run:
	free_page((unsigned long)v->run);
err_vcpu:
	kfree(v);
	return ERR_PTR(ret);
}

/* From then on others find it, so nothing may fail any more. */
static void vcpu_publish(struct vm *vm, struct vcpu *v)
{
	vm_get(vm);
	/* Pairs with whoever looks for it by its id. */
	smp_store_release(&vm->vcpu[v->id], v);
	WRITE_ONCE(vm->vcpu_end, max(vm->vcpu_end, v->id + 1));
	vm->nvcpus++;
}

static int vcpu_create(struct vm *vm, unsigned int id)
{
	struct file *file;
	struct vcpu *v;
	int fd;

	if (vm->vcpu[id])
		return -EEXIST;
	v = vcpu_alloc(vm, id);
	if (IS_ERR(v))
		return PTR_ERR(v);
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		goto err_vcpu;
	file = anon_inode_getfile("vmm-vcpu", &vcpu_fops, v, O_RDWR);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		fd = PTR_ERR(file);
		goto err_vcpu;
	}
	vcpu_publish(vm, v);
	fd_install(fd, file);
	return fd;

err_vcpu:
	vcpu_free(v);
	kfree(v);
	return fd;
}

int vcpu_create_fd(struct vm *vm, unsigned long id)
{
	int ret;

	BUILD_BUG_ON(sizeof(struct vmm_run) > PAGE_SIZE);
	if (id >= VMM_MAX_VCPUS)
		return -EINVAL;
	id = array_index_nospec(id, VMM_MAX_VCPUS);
	mutex_lock(&vm->lock);
	ret = vcpu_create(vm, id);
	mutex_unlock(&vm->lock);
	return ret;
}
