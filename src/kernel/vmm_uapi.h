/* SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR BSD-2-Clause */
/*
 * vmm(4): the interface between the driver and the daemon.
 *
 *	/dev/vmm --VMM_CREATE_VM--> VM --VMM_CREATE_VCPU--> vCPU --mmap--> run
 *
 * Every object is a file descriptor; closing the last one, or dying, frees
 * all behind it.  A VM belongs to the address space that made it: its ioctls
 * and those of its vCPUs fail with EIO in any other, and its memory is freed
 * with that at the latest.
 *
 * Types have fixed width, padding is explicit, reserved fields and unknown
 * flags must be zero (EINVAL).
 */
#ifndef VMM_UAPI_H
#define VMM_UAPI_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define VMM_ABI			2

#define VMM_MAX_VCPUS		64
#define VMM_MAX_RANGES		8
#define VMM_MAX_CPUID		64
#define VMM_MAX_DOORBELLS	4096
#define VMM_MAX_IRQ_EVENTS	64		/* of a vCPU */
#define VMM_MAX_MSI_EVENTS	4000		/* of a VM */
#define VMM_MAX_MEMORY		(1ULL << 40)	/* bytes of RAM in a VM */
#define VMM_GPA_BITS		46		/* guest-physical address */

/* VMM_GET_INFO, on /dev/vmm */
struct vmm_info {
	__u32	abi;		/* VMM_ABI */
	__u32	run_size;	/* bytes to mmap of a vCPU */
	__u32	tsc_khz;	/* of the host, and so of every guest */
	__u32	features;	/* VMM_FEATURE_* */
	__u64	reserved[2];
};

#define VMM_FEATURE_STABLE_TSC	(1U << 0)	/* same on all host CPUs */

/*
 * VMM_SET_MEMORY, on a VM without vCPUs: backs [gpa, gpa + size) by the
 * caller's memory at `address`, all multiples of 4096.  Pages are pinned when
 * the guest first touches them, in blocks of up to 2 MiB, and count to the
 * caller's RLIMIT_MEMLOCK.  EEXIST if the range meets another, ENOSPC beyond
 * VMM_MAX_RANGES or VMM_MAX_MEMORY.
 */
struct vmm_memory {
	__u64	gpa;
	__u64	size;
	__u64	address;
	__u32	flags;		/* 0 */
	__u32	reserved;
};

/*
 * VMM_MEM_DISCARD, on a VM, while its guest runs or not: unpins what is pinned
 * of [gpa, gpa + size), multiples of 4096, all of it RAM.  What the guest
 * touches from then on is looked up at the caller's address and pinned afresh.
 * So replace the memory there first, as by madvise(MADV_DONTNEED); until this
 * call the guest keeps the old.
 */
struct vmm_discard {
	__u64	gpa;
	__u64	size;
	__u32	flags;		/* 0 */
	__u32	reserved;
};

/*
 * VMM_DIRTY_LOG, on a VM, takes 1 to begin with an empty log of the pages that
 * the guest writes to, 0 to end it.  Memory is mapped by 4 KiB from then on;
 * after the end a block can be large again once it has been discarded.
 *
 * VMM_GET_DIRTY fetches and clears the log of [gpa, gpa + size), multiples of
 * 4096, all of it RAM: bit n % 64 of word n / 64 is set if page n of the range
 * was written to.  What is written once it has returned is in the log anew.
 * ENODATA if there is no log, E2BIG beyond VMM_MAX_DIRTY; with EFAULT the log
 * of the range is lost.
 *
 * The log has what the vCPUs and the driver write.  What the caller itself
 * writes to guest memory, or discards of it, is for the caller to know.
 */
struct vmm_dirty {
	__u64	gpa;
	__u64	size;
	__u64	bitmap;		/* address of the words, __u64 */
	__u32	flags;		/* 0 */
	__u32	reserved;
};

#define VMM_MAX_DIRTY	(1ULL << 36)	/* bytes of RAM in one VMM_GET_DIRTY */

/*
 * One row of the table that CPUID is answered from.  Rows with
 * VMM_CPUID_SUBLEAF match leaf and subleaf, others the leaf alone; what is
 * not in the table reads zero.
 */
struct vmm_cpuid_entry {
	__u32	leaf;
	__u32	subleaf;
	__u32	flags;
	__u32	eax;
	__u32	ebx;
	__u32	ecx;
	__u32	edx;
	__u32	reserved;
};

#define VMM_CPUID_SUBLEAF	(1U << 0)

/*
 * VMM_GET_CPUID, on /dev/vmm: all this host and driver can give a guest.
 * VMM_SET_CPUID, on a VM without vCPUs: what its guest shall see.  Of the rows
 * there are, each vCPU has its own APIC id in leaf 1, EBX 31-24, in leaves 0xb
 * and 0x1f, EDX, and in leaf 0x8000001e, EAX and (as core) EBX 7-0.
 */
struct vmm_cpuid {
	__u32			count;	/* in: room; out: rows */
	__u32			reserved;
	struct vmm_cpuid_entry	entry[VMM_MAX_CPUID];
};

/*
 * VMM_DOORBELL, on a VM: an OUT of exactly `size` bytes to `port` is completed
 * by a signal to the eventfd, and no exit; its value is lost.  EEXIST if the
 * port has one already, ENOSPC beyond VMM_MAX_DOORBELLS, EBADF and EINVAL for
 * a descriptor that is none.  With VMM_EVENT_REMOVE, fd is -1, and ENOENT says
 * that there is none.  May be called while the guest runs.
 */
struct vmm_doorbell {
	__u16	port;
	__u8	size;		/* 1, 2, 4 */
	__u8	flags;
	__s32	fd;		/* an eventfd */
	__u64	reserved;
};

/*
 * VMM_IRQ_EVENT, on a vCPU: a signal to the eventfd ends VMM_RUN, or the next
 * one, wakes from HLT, and sets bit `line` of run->irqs.  The driver takes its
 * count: nobody else can read it.  Errors as VMM_DOORBELL's, and EBUSY if the
 * eventfd is bound already, as an irq event or to messages, of any VM.  May be
 * called while the vCPU runs.
 */
struct vmm_irq_event {
	__s32	fd;		/* an eventfd */
	__u32	line;		/* less than VMM_MAX_IRQ_EVENTS */
	__u32	flags;
	__u32	reserved;
	__u64	reserved2[2];
};

#define VMM_EVENT_REMOVE	(1U << 0)

/*
 * VMM_MSI, on a VM: sends an interrupt message to its local APICs now, as a
 * device does that writes `data` to `addr`; none may be there to take it.
 * EINVAL if the address is not the APICs' (0xfee in bits 31-20, none above) or
 * the message is of a kind that devices do not send.
 */
struct vmm_msi {
	__u64	addr;
	__u32	data;
	__u32	flags;		/* 0 */
};

/*
 * VMM_MSI_EVENT, on a VM: each signal to the eventfd sends the message.  The
 * driver takes its count; what waits is sent at once.  A slot that is bound
 * already gets the new message, and the new eventfd if that is another.  With
 * VMM_EVENT_REMOVE, fd is -1 and the message is 0; from then on signals stay
 * counted in the eventfd.  Errors as VMM_IRQ_EVENT's and VMM_MSI's; the slot
 * is then as it was.
 */
struct vmm_msi_event {
	__u64	addr;
	__u32	data;
	__s32	fd;		/* an eventfd */
	__u32	slot;		/* less than VMM_MAX_MSI_EVENTS */
	__u32	flags;
	__u64	reserved;
};

/*
 * VMM_APIC_ACCESS, on a vCPU: an access of its own to a register of its xAPIC,
 * of 4 bytes.  ENXIO if the APIC is off, or an x2APIC, whose registers are
 * MSRs that the driver handles.
 */
struct vmm_apic_access {
	__u32	offset;		/* in the page, a multiple of 16 */
	__u32	flags;
	__u32	value;		/* out, with VMM_APIC_WRITE in */
	/* out: a level-triggered vector whose end that was; as VMM_EXIT_EOI */
	__u8	eoi;		/* or 0 */
	__u8	reserved[3];
	__u64	reserved2[2];
};

#define VMM_APIC_WRITE		(1U << 0)

/*
 * VMM_GET_APIC, VMM_SET_APIC, on a vCPU.  The state is the struct lapic of
 * src/devices/lapic.h, the rest 0; the times in it are moved by what has
 * passed since `ns` and `tsc`.
 */
struct vmm_apic {
	__u64	ns;		/* when it was read, by the host's clock */
	__u64	tsc;		/* by the guest's TSC */
	__u8	state[256];
};

/*
 * VMM_CREATE_VCPU, on a VM, takes the vCPU's id as its argument, less than
 * VMM_MAX_VCPUS: once in the VM's life, EEXIST from then on, also when the
 * vCPU has been closed.  The id is that of its local APIC, too.  vCPU 0 runs
 * from the start, the others wait for a start-up IPI.
 */

/* What a vCPU waits for: vmm_state.halted, vmm_run.halted */
enum {
	VMM_HALTED_NO,
	VMM_HALTED_HLT,		/* an interrupt, by HLT */
	VMM_HALTED_SIPI,	/* a start-up IPI */
};

/*
 * A segment register; limit in bytes, `ar` as a descriptor's bytes 5-6: type
 * 0-3, S 4, DPL 5-6, P 7, AVL 12, L 13, D/B 14, G 15.  The DPL of SS is the
 * CPL.
 */
struct vmm_segment {
	__u64	base;
	__u32	limit;
	__u16	selector;
	__u16	ar;
};

struct vmm_dtable {
	__u64	base;
	__u16	limit;
	__u16	reserved[3];
};

/* Order of the general registers: as instructions encode them. */
enum {
	VMM_RAX, VMM_RCX, VMM_RDX, VMM_RBX, VMM_RSP, VMM_RBP, VMM_RSI, VMM_RDI,
	VMM_R8, VMM_R9, VMM_R10, VMM_R11, VMM_R12, VMM_R13, VMM_R14, VMM_R15,
	VMM_NGPR
};

enum {
	VMM_ES, VMM_CS, VMM_SS, VMM_DS, VMM_FS, VMM_GS, VMM_LDTR, VMM_TR,
	VMM_NSEG
};

/* What a decoder of the guest's instructions needs; part of the run page. */
struct vmm_regs {
	__u64			gpr[VMM_NGPR];
	__u64			rip;
	__u64			rflags;
	__u64			cr0;
	__u64			cr2;
	__u64			cr3;
	__u64			cr4;
	__u64			efer;
	struct vmm_segment	seg[VMM_NSEG];
};

/* VMM_GET_STATE, VMM_SET_STATE, on a vCPU: everything but the FPU. */
struct vmm_state {
	struct vmm_regs		regs;
	struct vmm_dtable	gdtr;
	struct vmm_dtable	idtr;
	__u64			cr8;
	__u64			xcr0;
	__u64			dr[4];
	__u64			dr6;
	__u64			dr7;
	__u64			pat;
	__u64			star;
	__u64			lstar;
	__u64			cstar;
	__u64			sfmask;
	__u64			kernel_gs_base;
	__u64			sysenter_cs;
	__u64			sysenter_esp;
	__u64			sysenter_eip;
	__u64			tsc;		/* guest's, now */
	__u64			event;		/* VMM_EVENT_*, in flight */
	__u32			halted;		/* VMM_HALTED_* */
	__u32			shadow;		/* interrupt shadow */
	__u64			next_event;	/* waits for `event` */
	__u32			nmi;		/* VMM_NMI_* */
	/* Waits until an NMI, INIT, start-up IPI or kick comes; not taken in. */
	__u32			stuck;
	__u32			kicked;		/* 1: ends this HLT or the next */
	__u32			reserved2;
	__u64			reserved;
};

#define VMM_NMI_MASKED		(1U << 0)	/* until the next IRET */
#define VMM_NMI_PENDING		(1U << 1)

/* An event that is to be delivered on the next entry; APM 2 15.20. */
#define VMM_EVENT_VECTOR	0x00000000000000ffULL
#define VMM_EVENT_TYPE		0x0000000000000700ULL
#define VMM_EVENT_NMI		0x0000000000000200ULL
#define VMM_EVENT_EXCEPTION	0x0000000000000300ULL
#define VMM_EVENT_HAS_ERROR	0x0000000000000800ULL
#define VMM_EVENT_VALID		0x0000000080000000ULL
#define VMM_EVENT_ERROR		0xffffffff00000000ULL

/* Why VMM_RUN returned: vmm_run.reason */
enum {
	VMM_EXIT_NONE,		/* signal, immediate_exit, irqs */
	VMM_EXIT_IO,
	VMM_EXIT_MEMORY,	/* an address without RAM */
	VMM_EXIT_INTR_WINDOW,	/* intr_ready has become true */
	VMM_EXIT_HLT,		/* the vCPU has become stuck, see vmm_state */
	VMM_EXIT_SHUTDOWN,	/* triple fault */
	VMM_EXIT_UNKNOWN,	/* an exit the driver does not handle */
	VMM_EXIT_INVALID,	/* the CPU refused the vCPU's state */
	VMM_EXIT_FAULT,		/* RAM could not be pinned: see fault.error */
	VMM_EXIT_MSR,		/* RDMSR, WRMSR of one the driver lacks */
	VMM_EXIT_EOI,		/* of a level-triggered interrupt */
};

#define VMM_IO_IN		(1U << 0)
#define VMM_IO_STRING		(1U << 1)
#define VMM_IO_REP		(1U << 2)

#define VMM_MEMORY_WRITE	(1U << 0)
#define VMM_MEMORY_FETCH	(1U << 1)
/* By an event's delivery, not the instruction at RIP. */
#define VMM_MEMORY_EVENT	(1U << 2)

#define VMM_MSR_WRITE		(1U << 0)

/*
 * The page shared between the vCPU's thread and the driver.  The driver reads
 * the first part at the start of VMM_RUN, and immediate_exit as long as it
 * runs; it writes the rest before VMM_RUN returns, the two counters at each exit.
 */
struct vmm_run {
	/* in */
	__u8	immediate_exit;	/* return VMM_EXIT_NONE as soon as possible */
	__u8	intr_window;	/* return VMM_EXIT_INTR_WINDOW when possible */
	/* Deliver the PIC's `vector`: only while intr_ready; cleared. */
	__u8	inject;
	__u8	vector;
	/*
	 * An instruction was performed: take gpr, rip, rflags and cr2 from
	 * `regs`; cleared when taken.
	 */
	__u8	set_regs;
	/*
	 * The guest has been stopped for a while: tell its watchdogs, by its
	 * paravirtual clock if it has one; cleared when taken.
	 */
	__u8	resumed;
	__u8	reserved0[2];
	/*
	 * Deliver this exception or NMI, VMM_EVENT_*; cleared when taken;
	 * EINVAL if it is none, EAGAIN for an exception while another event is
	 * in flight.  An NMI waits until it can be delivered, one more at most.
	 * With set_regs, an exception is the instruction's own.
	 */
	__u64	event;

	/* out */
	__u32	reason;
	__u8	intr_ready;	/* the PIC's could be delivered now; vCPU 0 */
	__u8	halted;		/* the vCPU waits: VMM_HALTED_* */
	__u8	reserved2[2];
	__u64	exits;		/* since the vCPU was made */
	__u64	guest_tsc;	/* TSC ticks spent in guest mode */
	__u64	irqs;		/* lines of irq events since the last run */
	union {
		struct {
			__u16	port;
			__u8	size;	/* 1, 2, 4 */
			__u8	flags;	/* VMM_IO_* */
			__u32	data;	/* out: value; in: set before RUN */
		} io;
		struct {
			__u64	gpa;
			__u32	flags;	/* VMM_MEMORY_* */
			__u8	insn_len;	/* known of the instruction */
			__u8	insn[15];
			__u32	reserved;
		} memory;
		struct {
			__u64	gpa;
			__s32	error;	/* -errno */
			__u32	reserved;
		} fault;
		/*
		 * RIP is still on the instruction, RCX, RAX and RDX are in
		 * `regs`: perform it by set_regs, or refuse it by a #GP in
		 * `event`; run again without either, it comes again.
		 */
		struct {
			__u32	index;
			__u32	flags;	/* VMM_MSR_* */
			__u64	next_rip;
		} msr;
		struct {
			__u8	vector;
		} eoi;
		struct {
			__u64	code;	/* EXITCODE or basic exit reason */
			__u64	info[2];
		} hw;
		__u64	pad[8];
	};
	/* Not with NONE, INTR_WINDOW, EOI and plain IO, which need none. */
	struct vmm_regs	regs;
};

#define VMM_IOC			0xb8
#define VMM_GET_INFO		_IOR(VMM_IOC, 0x00, struct vmm_info)
#define VMM_GET_CPUID		_IOWR(VMM_IOC, 0x01, struct vmm_cpuid)
#define VMM_CREATE_VM		_IO(VMM_IOC, 0x02)
#define VMM_SET_MEMORY		_IOW(VMM_IOC, 0x10, struct vmm_memory)
#define VMM_SET_CPUID		_IOW(VMM_IOC, 0x11, struct vmm_cpuid)
#define VMM_CREATE_VCPU		_IO(VMM_IOC, 0x12)
#define VMM_MEM_DISCARD		_IOW(VMM_IOC, 0x13, struct vmm_discard)
#define VMM_DIRTY_LOG		_IO(VMM_IOC, 0x14)
#define VMM_GET_DIRTY		_IOW(VMM_IOC, 0x15, struct vmm_dirty)
#define VMM_DOORBELL		_IOW(VMM_IOC, 0x16, struct vmm_doorbell)
#define VMM_MSI			_IOW(VMM_IOC, 0x17, struct vmm_msi)
#define VMM_MSI_EVENT		_IOW(VMM_IOC, 0x18, struct vmm_msi_event)
#define VMM_RUN			_IO(VMM_IOC, 0x20)
#define VMM_GET_STATE		_IOR(VMM_IOC, 0x21, struct vmm_state)
#define VMM_SET_STATE		_IOW(VMM_IOC, 0x22, struct vmm_state)
#define VMM_IRQ_EVENT		_IOW(VMM_IOC, 0x23, struct vmm_irq_event)
#define VMM_APIC_ACCESS		_IOWR(VMM_IOC, 0x24, struct vmm_apic_access)
#define VMM_GET_APIC		_IOR(VMM_IOC, 0x25, struct vmm_apic)
#define VMM_SET_APIC		_IOW(VMM_IOC, 0x26, struct vmm_apic)

#endif /* VMM_UAPI_H */
