/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What the parts of the driver share.
 *
 * Locks, outermost first:
 *	host_lock (main.c)	virtualization on or off
 *	vcpu->lock		one ioctl on a vCPU at a time
 *	vm->lock		setup of a VM; its nested page table
 *
 * Letters behind a member say who may touch it: I immutable once made,
 * v under vcpu->lock, m under vm->lock.
 */
#ifndef VMM_H
#define VMM_H

#include <linux/atomic.h>
#include <linux/bitmap.h>
#include <linux/hrtimer.h>
#include <linux/kref.h>
#include <linux/mm_types.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/static_call.h>
#include <linux/rcuwait.h>
#include <linux/poll.h>
#include <linux/spinlock_types.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "lapic.h"
#include "steering.h"
#include "vmm_uapi.h"

struct eventfd_ctx;
struct file;
struct irq_event;
struct task_struct;
struct vcpu;
struct vm;

#define BLOCK_SIZE_2M	(2UL << 20)
#define BLOCK_PAGES	(BLOCK_SIZE_2M >> PAGE_SHIFT)

/* How nested page-table entries look: AMD's or Intel's. */
struct npt_format {
	u64	table;		/* bits of an entry that names a table */
	u64	page;		/* bits of an entry that maps a 4 KiB page */
	u64	large;		/* bits of an entry that maps 2 MiB */
	u64	present;	/* set in any of these: the entry is in use */
	u64	dirty;		/* the CPU sets it where it writes */
	bool	host_levels;	/* as many levels as the host's own tables */
};

/* What to do after an exit. */
enum next {
	NEXT_ENTER,	/* enter the guest again at once */
	NEXT_SLOW,	/* handle_slow() has to look at it */
	NEXT_LOOP,	/* look at signals, HLT and the like, then enter */
	NEXT_USER,	/* return to the daemon; run->reason is set */
};

/*
 * What a kind of CPU must do: AMD-V or VT-x.  One table a kind, all of it
 * const; `data` of a VM or vCPU is its own.
 */
struct cpu_ops {
	const char		*name;
	struct npt_format	 npt;

	/* Can this host run guests?  0, or -errno and the remedy logged. */
	int	(*check)(void);

	/* Per-CPU memory for all the module's life. */
	int	(*init)(void);
	void	(*exit)(void);

	/* On each CPU, preemption off: 0, or -EBUSY if somebody has it. */
	int	(*cpu_enable)(void);
	void	(*cpu_disable)(void);

	int	(*vcpu_init)(struct vcpu *v);
	void	(*vcpu_free)(struct vcpu *v);

	void	(*get_state)(struct vcpu *v, struct vmm_state *s);
	int	(*set_state)(struct vcpu *v, const struct vmm_state *s);
	/* Fills the run page's registers. */
	void	(*get_regs)(struct vcpu *v, struct vmm_regs *regs);
	/*
	 * Takes gpr, rip, rflags and cr2; `done`: of an instruction that
	 * came to its end.
	 */
	void	(*set_regs)(struct vcpu *v, const struct vmm_regs *regs,
			    bool done);

	/* The CPU now carries this vCPU; preemption off. */
	void	(*load)(struct vcpu *v);
	/* It does not any more; the same. */
	void	(*put)(struct vcpu *v);

	/* No translation from before is used from now on; preemption off. */
	void	(*flush)(struct vcpu *v);

	/* One entry and exit; interrupts off. */
	void	(*enter)(struct vcpu *v);

	/* After an exit: first with preemption off, then where one may sleep */
	enum next (*handle_fast)(struct vcpu *v);
	enum next (*handle_slow)(struct vcpu *v);

	/* Could the next entry deliver an external interrupt? */
	bool	(*intr_ready)(struct vcpu *v);
	/*
	 * Ends guest mode as soon as it could, by NEXT_LOOP or NEXT_ENTER: one
	 * of a class above CR8, or any; 0: no more.  Notes it in v->window.
	 */
	void	(*intr_window)(struct vcpu *v, u8 class);

	/* Queues an event for the next entry: VMM_EVENT_*. */
	void	(*inject)(struct vcpu *v, u64 event);
	/* Is there one already; will one be delivered on the next entry? */
	bool	(*event_busy)(struct vcpu *v);
	bool	(*event_pending)(struct vcpu *v);

	/* The registers that handlers outside the CPU kind need. */
	u64	(*rax)(struct vcpu *v);
	void	(*set_rax)(struct vcpu *v, u64 val);
	u64	(*cr4)(struct vcpu *v);
	/* The upper half of TPR, which the guest changes without an exit. */
	u8	(*cr8)(struct vcpu *v);
	void	(*set_cr8)(struct vcpu *v, u8 val);
	u64	(*efer)(struct vcpu *v);
	int	(*set_efer)(struct vcpu *v, u64 val);
	u64	(*pat)(struct vcpu *v);
	void	(*set_pat)(struct vcpu *v, u64 val);
};

#define WINDOW_ANY	0x10U		/* above all classes */
#define WINDOW_CLASS	0x1fU
#define WINDOW_WANTED	0x20U

struct mem_range {
	u64		 gpa;		/* I */
	u64		 size;		/* I, bytes */
	unsigned long	 hva;		/* I */
};

/* The guest's clock. */
struct pvclock {
	u64			 msr[VMM_MAX_VCPUS];	/* m, where pages are */
	u64			 base;		/* I, the host's at its 0, ns */
	struct steering		 clock;		/* m */
	u32			 version;	/* m, even */
	struct delayed_work	 work;
};

struct vm {
	struct kref		 ref;
	struct mm_struct	*mm;		/* I, the daemon's */
	struct mmu_notifier	 mm_end;	/* I */
	u64			 id;		/* I, never used twice */
	struct mutex		 lock;
	struct mem_range	 range[VMM_MAX_RANGES];	/* m; I with vCPUs */
	unsigned int		 nranges;	/* m */
	u64			 memory;	/* m, bytes in all ranges */
	struct vmm_cpuid_entry	*cpuid;		/* m; I with vCPUs */
	unsigned int		 ncpuid;	/* m */
	unsigned int		 nvcpus;	/* m, made so far */
	/* By id; m to set, once; each stays until the VM goes. */
	struct vcpu		*vcpu[VMM_MAX_VCPUS];
	unsigned int		 vcpu_end;	/* m to change, above all ids */
	u64			*npt;		/* I, the root; tables m */
	atomic64_t		 tlb_gen;	/* of the nested page table */
	bool			 dirty_log;	/* m, no large leaves */
	unsigned long		 pinned;	/* m, pages */
	struct page		**block;	/* m, room for one block */
	struct xarray		 doorbells;	/* m to change; RCU; by port */
	DECLARE_BITMAP(doorbell_pages, 256);	/* atomic */
	unsigned int		 ndoorbells;	/* m */
	struct xarray		 msi_events;	/* m, by slot */
	u64			 tsc_base;	/* I, host TSC at guest's 0 */
	struct pvclock		 pvclock;
};

struct vcpu {
	struct vm		*vm;		/* I */
	unsigned int		 id;		/* I */
	struct mutex		 lock;
	struct vmm_run		*run;		/* I, one page */
	void			*data;		/* I, the CPU kind's */
	void			*fpu;		/* v, guest's XSAVE area */
	u64			 gpr[VMM_NGPR];	/* v, less RAX and RSP */
	u64			 xcr0;		/* v */
	u64			 dr[4];		/* v */
	/* v, last run on, or -1; vcpu_raise() reads it while in_guest */
	int			 cpu;
	bool			 in_guest;	/* v, or about to be */
	unsigned long		 irqs;		/* atomic, lines raised */
	/* Of what others have posted: see apic.c. */
	atomic_t		 posts;
	unsigned long		 posted[2][BITS_TO_LONGS(256)];	/* atomic */
	u8			 sipi_vector;	/* atomic */
	struct lapic		 lapic;		/* v, see lapic.h */
	struct hrtimer		 timer;		/* v, the lapic's */
	/* v: WINDOW_WANTED by the daemon, and the class of the open one */
	u32			 window;
	struct rcuwait		 wait;		/* for HLT's end */
	spinlock_t		 task_lock;
	struct task_struct	*task;		/* task_lock, ran it last */
	unsigned int		 yielded;	/* v, id of whom to, last */
	u64			 halt_poll;	/* v, awake in HLT first, ns */
	struct irq_event	*irq_event[VMM_MAX_IRQ_EVENTS];	/* vm's m */
	u64			 tlb_gen;	/* v, vm->tlb_gen at last entry */
	u8			 halted;	/* v, VMM_HALTED_* */
	bool			 kicked;	/* v, no HLT keeps it then */
	bool			 stuck;		/* v, others look; told of, or no need */
	bool			 shutdown;	/* v, until its state is set */
	bool			 io_in;		/* v, an IN waits for data */
	u8			 io_size;	/* v */
	u64			 exits;		/* v */
	u64			 guest_tsc;	/* v */
	u64			 wall_clock;	/* v, MSR value */
	struct {
		u64		 msr;		/* v, its value */
		u64		 ns;		/* v, what the guest is told */
		u64		 delay;		/* v, the thread's count then */
		u32		 version;	/* v, even */
		bool		 preempted;	/* v, and the guest can see it */
	} steal;
	struct {
		u64		 msr;		/* vm's m, its value */
		u32		*word;		/* vm's m to change, or NULL */
		u32		*offered;	/* v, in this entry, or NULL */
	} eoi;
};

/* main.c: virtualization is on while a VM lives */
extern const struct cpu_ops *vmm_cpu;

/*
 * Those of it that each exit needs, called without a pointer: an indirect call
 * is dear where the kernel has to guard its prediction.
 */
DECLARE_STATIC_CALL(vmm_cpu_load, *((struct cpu_ops *)NULL)->load);
DECLARE_STATIC_CALL(vmm_cpu_put, *((struct cpu_ops *)NULL)->put);
DECLARE_STATIC_CALL(vmm_cpu_rax, *((struct cpu_ops *)NULL)->rax);
DECLARE_STATIC_CALL(vmm_cpu_set_rax, *((struct cpu_ops *)NULL)->set_rax);
DECLARE_STATIC_CALL(vmm_cpu_enter, *((struct cpu_ops *)NULL)->enter);
DECLARE_STATIC_CALL(vmm_cpu_handle_fast,
		    *((struct cpu_ops *)NULL)->handle_fast);
DECLARE_STATIC_CALL(vmm_cpu_intr_ready,
		    *((struct cpu_ops *)NULL)->intr_ready);
DECLARE_STATIC_CALL(vmm_cpu_intr_window,
		    *((struct cpu_ops *)NULL)->intr_window);
DECLARE_STATIC_CALL(vmm_cpu_inject, *((struct cpu_ops *)NULL)->inject);

extern bool vmm_rebooting;		/* never enter a guest again */
int vmm_host_get(void);
void vmm_host_put(void);

/* Counters in sysfs; all but npt_faults are 0 when no VM is left. */
struct vmm_counters {
	atomic_long_t	vms;
	atomic_long_t	vcpus;
	atomic_long_t	npt_pages;
	atomic_long_t	pinned_pages;
	atomic_long_t	npt_faults;	/* since the module was loaded */
};
extern struct vmm_counters vmm_counters;

/* vm.c */
int vm_create_fd(void);
void vm_get(struct vm *vm);
void vm_put(struct vm *vm);

/* vcpu.c */
int vcpu_create_fd(struct vm *vm, unsigned long id);
/*
 * When it returns, no CPU uses what it knew of the nested page table before.
 * May sleep.
 */
void vcpu_flush_tlb(struct vm *vm);
/* Ends the vCPU's run, or the next, with that bit in irqs; any context. */
void vcpu_raise(struct vcpu *v, unsigned int line);
/* Has the vCPU look at what was set before; any context. */
void vcpu_kick(struct vcpu *v);

/* An event or interrupt that is about to be delivered ends HLT. */
void vcpu_end_hlt(struct vcpu *v);
/* Does the vCPU wait for what no interrupt can be? */
bool vcpu_is_stuck(struct vcpu *v);

/* vcpu_state.c; vcpu->lock held */
int vcpu_get_state(struct vcpu *v, void __user *arg);
int vcpu_set_state(struct vcpu *v, const void __user *arg);
int vcpu_reset(struct vcpu *v);		/* to power-on */
int vcpu_init(struct vcpu *v);		/* by INIT */
int vcpu_start(struct vcpu *v, u8 vector);	/* by a start-up IPI */

/* apic.c; vcpu's own thread, unless said otherwise */
void apic_init(struct vcpu *v);
/* The timer ends; others may still post. */
void apic_free(struct vcpu *v);
/* Sends a message from the APIC `sender`, or LAPIC_BROADCAST; any context. */
void apic_send(struct vm *vm, const struct lapic_msg *m, u32 sender);
/* Ends the HLT of the vCPU with that APIC id, or its next; any context. */
void apic_kick(struct vm *vm, u32 id);
/* Was something posted that ends a wait in which no interrupt is taken? */
bool apic_ends_wait(const struct vcpu *v);
/* Takes in what was posted; false if INIT and the like are left for _all(). */
bool apic_take(struct vcpu *v);
int apic_take_all(struct vcpu *v);	/* may sleep */
/* The interrupt that is due, or -1; LVT and ISR let it pass, and CR8. */
int apic_pending(struct vcpu *v);
/*
 * Before an entry: queues the interrupt that is due, opens a window for the
 * next, and offers the end of one in service.
 */
void apic_interrupt(struct vcpu *v);
/* Lets what has expired expire, and sets the timer for the rest. */
void apic_timer(struct vcpu *v);
/* 0, -EPERM for a #GP, or a vector whose end is to be told */
bool apic_has_msr(u32 msr);
int apic_read_msr(struct vcpu *v, u32 msr, u64 *val);
int apic_write_msr(struct vcpu *v, u32 msr, u64 val);
int apic_write_base(struct vcpu *v, u64 val);
int apic_access(struct vcpu *v, void __user *uarg);
int apic_get(struct vcpu *v, void __user *uarg);
int apic_set(struct vcpu *v, const void __user *uarg);

/* msi.c; they take the lock themselves, but for the last */
int msi_send(struct vm *vm, const void __user *uarg);
int msi_event_set(struct vm *vm, const void __user *uarg);
void msi_init(struct vm *vm);
void msi_free_all(struct vm *vm);

/*
 * An eventfd whose signals are taken: `fire` is called for each, with the
 * queue's lock held and interrupts off.  The file is held, so it cannot go
 * away under the entry in its wait queue.
 */
struct watch {
	wait_queue_entry_t	 wait;
	poll_table		 poll;
	wait_queue_head_t	*queue;		/* I, the eventfd's */
	struct file		*file;		/* I */
	struct eventfd_ctx	*event;		/* I */
	void			(*fire)(struct watch *w);	/* I */
};

/* event.c; sets take the lock themselves, the others run alone */
void doorbell_init(struct vm *vm);
int doorbell_set(struct vm *vm, const void __user *uarg);
void doorbell_free_all(struct vm *vm);
/* Signals what is at that port, if something is; any context. */
bool doorbell_ring(struct vm *vm, u16 port, u8 size);
int irq_event_set(struct vcpu *v, const void __user *uarg);
/*
 * Begins with what has been signalled before: 0, -EBUSY if the eventfd has a
 * watch, or -errno for a bad fd.  `w` has been zeroed.
 */
int watch_start(struct watch *w, int fd, void (*fire)(struct watch *w));
void watch_stop(struct watch *w);
void irq_event_free_all(struct vcpu *v);

/* fpu.c: the guest's FPU, on the CPU between load and put */
int fpu_init(void);
void *fpu_alloc(void);
void fpu_free(void *fpu);
void fpu_load(struct vcpu *v);
void fpu_put(struct vcpu *v);
u64 fpu_supported(void);		/* XCR0 bits a guest may set */
bool fpu_xcr0_valid(u64 xcr0);
void fpu_fix_cpuid(struct vcpu *v, struct vmm_cpuid_entry *e);

/* mem.c; vm->lock held in all but mem_fault and mem_write */
int mem_add(struct vm *vm, const struct vmm_memory *m);
/* Of what it frees nothing is used again. */
void mem_free(struct vm *vm);
/* Is all of it RAM, and in whole pages? */
bool mem_is_ram(const struct vm *vm, u64 gpa, u64 size);
/* Unpins the first `n` of vm->block; the charge is the caller's to lift. */
void mem_unpin(struct vm *vm, long n);
/* Unpins a block's pages, frees its table, and clears its entry. */
void mem_drop_block(struct vm *vm, u64 *block);
/* Pins and maps what lies at `gpa`: 0, -ENOENT if no RAM does, -errno. */
int mem_fault(struct vm *vm, u64 gpa);
int mem_fault_locked(struct vm *vm, u64 gpa);
/*
 * What is mapped at `gpa`, to be written to until vm->lock is released; to the
 * end of its page.  NULL: nothing is.
 */
void *mem_mapped(struct vm *vm, u64 gpa);
/*
 * Copies to guest memory by the daemon's mapping, as a write of the guest's;
 * may sleep.
 */
int mem_write(struct vm *vm, u64 gpa, const void *src, size_t len);
/* The same if it can be done without sleep; the log does not get it. */
int mem_write_now(struct vm *vm, u64 gpa, const void *src, size_t len);

/* discard.c; vm->lock held */
int discard_range(struct vm *vm, const struct vmm_discard *d);

/* dirty.c; vm->lock held */
int dirty_log(struct vm *vm, bool on);
int dirty_fetch(struct vm *vm, const struct vmm_dirty *d);

/* npt.c; vm->lock held */
u64 *npt_alloc_root(void);
bool npt_is_present(u64 entry);
bool npt_is_large(u64 entry);
u64 *npt_child(u64 entry);
/* Atomic; clear says whether it was set.  The CPU knows after a flush. */
bool npt_clear_dirty(u64 *entry);
void npt_set_dirty(u64 *entry);
/* Takes an entry from the guest, after a flush; it keeps its address. */
void npt_hide(u64 *entry);
/* A leaf's first page, and the leaf of a page. */
struct page *npt_page(u64 entry);
u64 npt_leaf(struct page *page, bool large);
/* The entry of the block around `gpa`, made as needed; NULL: no memory. */
u64 *npt_block(struct vm *vm, u64 gpa);
/* A block's table, made of a large leaf or of nothing; NULL: no memory. */
u64 *npt_table(u64 *block);
u64 *npt_entry(u64 *table, u64 gpa);
/* The leaf that maps `gpa`, large or not; NULL: none does. */
u64 *npt_leaf_of(struct vm *vm, u64 gpa);
/*
 * Calls fn() for each block that meets a range and has an entry: with the
 * pages they share, `n` from `gpa` on.  Ends with the first non-zero return.
 */
typedef int npt_walk_fn(struct vm *vm, u64 *block, u64 gpa, long n, void *arg);
int npt_walk(struct vm *vm, u64 gpa, u64 size, npt_walk_fn *fn, void *arg);
void npt_free_table(u64 *table);
/* Frees all tables, after drop() has freed what a block has. */
void npt_free(struct vm *vm, void (*drop)(struct vm *vm, u64 *block));

/* cpuid.c */
void cpuid_supported(struct vmm_cpuid *c);
/* Notes in the rows of a VM's table what cpuid_exec() has to know. */
void cpuid_prepare(struct vmm_cpuid_entry *e, u32 n);
void cpuid_exec(struct vcpu *v);
/* May the guest wait in HLT without interrupts for a kick? */
bool cpuid_has_unhalt(const struct vm *vm);

/* msr.c */
bool pat_valid(u64 val);
/* 0, -ENOENT if it is not in the table, -EPERM for a #GP; may sleep */
int msr_read(struct vcpu *v, u32 msr, u64 *val);
int msr_write(struct vcpu *v, u32 msr, u64 val);

/* pvclock.c */
u64 guest_tsc(const struct vm *vm);
void pvclock_init(struct vm *vm);
/* Before the VM goes; may sleep. */
void pvclock_end(struct vm *vm);
/* The MSRs; 0 or -EPERM. */
int pvclock_set_system_time(struct vcpu *v, u64 val);
u64 pvclock_system_time(struct vcpu *v);
int pvclock_set_wall_clock(struct vcpu *v, u64 val);
/* The guest was stopped for a while: its watchdogs are to forgive that. */
void pvclock_stopped(struct vcpu *v);

/* steal.c */
bool steal_supported(void);
/* The MSR: 0 or -EPERM. */
int steal_set(struct vcpu *v, u64 val);
/* Before the guest is entered; may sleep. */
void steal_update(struct vcpu *v);
/* The host wants the CPU for others; any context. */
void steal_preempted(struct vcpu *v);

/* eoi.c */
/* The MSR: 0 or -EPERM; may sleep. */
int eoi_set(struct vcpu *v, u64 val);
/* Before an entry, its interrupt chosen, and after it; interrupts off. */
void eoi_offer(struct vcpu *v);
void eoi_take(struct vcpu *v);
/* Memory is about to go: with the next flush of the TLB nobody offers there. */
void eoi_discard(struct vm *vm, u64 gpa, u64 size);

/* yield.c */
/* The thread that runs the vCPU from now on, or NULL; any but interrupts. */
void yield_set_task(struct vcpu *v, struct task_struct *task);
/* It spins: another vCPU that wants a CPU gets its own.  May sleep. */
void yield_spinning(struct vcpu *v);

/* svm.c */
extern const struct cpu_ops svm_ops;

#endif /* VMM_H */
