/* SPDX-License-Identifier: ISC */
/*
 * The hypervisor interface: what the daemon needs of a backend.
 *
 * A backend is one const table of functions.  The daemon above it is the same
 * program on every backend; whatever a guest may cause comes back as an exit
 * or as -errno, never as the end of the daemon.
 *
 * Local APICs are the backend's; what talks to them from outside are messages
 * (msi), as devices and the IOAPIC send them.  The ends of level-triggered
 * interrupts come back (HV_EXIT_EOI), for the IOAPIC.  The PIC, which is in the
 * daemon, has the processor's contract for external interrupts: the daemon says
 * that one is *pending* (intr_window) and acknowledges the PIC, which yields
 * the vector, only when the backend can deliver it at once (intr_ready).
 */
#ifndef VMMD_HV_H
#define VMMD_HV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gmem;
struct hv_vm;
struct hv_vcpu;

enum hv_exit_kind {
	HV_EXIT_NONE,		/* kicked or nothing to do: run again */
	HV_EXIT_IO,		/* port I/O */
	HV_EXIT_MMIO,		/* access to memory that is not RAM */
	HV_EXIT_MSR,		/* to a register the backend does not know */
	HV_EXIT_INTR_WINDOW,	/* the guest can take an interrupt now */
	HV_EXIT_EOI,		/* the end of a level-triggered interrupt */
	/* Halted, with interrupts disabled: once, or of the last one only. */
	HV_EXIT_HLT,
	HV_EXIT_SHUTDOWN,	/* triple fault */
	HV_EXIT_ERROR,		/* the guest cannot go on: see msg */
};

#define HV_EXIT_KINDS	(HV_EXIT_ERROR + 1)

#define HV_VCPUS_MAX	64	/* of a VM; ids count from 0 */

struct hv_exit {
	enum hv_exit_kind	 kind;
	union {
		/*
		 * For `in` the daemon stores the value and runs the vCPU
		 * again.  A string instruction (INS, OUTS) may arrive as
		 * `count` elements of `size` bytes at `data`, which the
		 * backend owns.
		 */
		struct {
			uint16_t	 port;
			uint8_t		 size;		/* 1, 2 or 4 */
			bool		 in;
			uint32_t	 count;
			void		*data;
		} io;
		/* The same with `size` bytes, for a read to be stored. */
		struct {
			uint64_t	 gpa;
			uint8_t		 size;		/* 1 to 8 */
			bool		 write;
			void		*data;
		} mmio;
		/*
		 * The daemon stores whether the guest gets #GP, 1 or 0, and
		 * for a read the 8 bytes of its value.
		 */
		struct {
			uint32_t	 index;
			bool		 write;
			uint8_t		*fault;
			void		*data;
		} msr;
		struct {
			uint8_t		 vector;
		} eoi;
	};
	char			 msg[160];	/* HV_EXIT_ERROR: why */
};

/* A segment register; `ar` is laid out as in a descriptor's bytes 5-6. */
struct hv_segment {
	uint64_t	base;
	uint32_t	limit;
	uint16_t	selector;
	uint16_t	ar;	/* type 0-3, S 4, DPL 5-6, P 7, AVL 12, L 13,
				   D/B 14, G 15 */
};

struct hv_dtable {
	uint64_t	base;
	uint16_t	limit;
};

/* The registers of a vCPU, backend-neutral. */
struct hv_regs {
	/* rax rcx rdx rbx rsp rbp rsi rdi r8-r15: the encoding's order */
	uint64_t		gpr[16];
	uint64_t		rip, rflags;
	uint64_t		cr0, cr2, cr3, cr4, efer;
	struct hv_segment	cs, ds, es, fs, gs, ss, tr, ldtr;
	struct hv_dtable	gdtr, idtr;
};

enum { HV_RAX, HV_RCX, HV_RDX, HV_RBX, HV_RSP, HV_RBP, HV_RSI, HV_RDI };

/* Counters of one vCPU since it was made; for `status`. */
struct hv_stats {
	uint64_t	exits;		/* exits to the daemon and inside */
	uint64_t	guest_ns;	/* time in guest mode, 0 if unknown */
};

/* A message-signalled interrupt: where a device writes, and what. */
struct hv_msi {
	uint64_t	addr;	/* fee00000-feefffff; see hv_msi_valid() */
	uint32_t	data;
};

#define HV_MSI_EVENTS	4000	/* slots of msi_event */
#define HV_IOAPIC_PINS	24

struct hv_ops {
	const char *name;
	bool pins_memory;	/* all of a guest's: counts to RLIMIT_MEMLOCK */
	bool keeps_hlt;		/* no HV_EXIT_HLT: ask is_halted() instead */

	/*
	 * Makes a VM and a vCPU and throws them away: a node that exists
	 * proves nothing.  0, or -errno with a line in `err` that says what
	 * to do.  Any thread.
	 */
	int (*probe)(char *err, size_t errlen);

	/*
	 * Creates a VM with the RAM of `gm`, whose range[].hva the backend
	 * fills in, and with room for `ncpus` vCPUs, 1 to HV_VCPUS_MAX; the
	 * memory reads zero and lives until vm_destroy.  0, or -errno and a
	 * line in `err`.  vCPU-0 thread.
	 */
	int (*vm_create)(struct hv_vm **vm, struct gmem *gm, unsigned ncpus,
	    char *err, size_t errlen);

	/* After every vCPU is destroyed. */
	void (*vm_destroy)(struct hv_vm *vm);

	/*
	 * Has the guest's clock follow the host's; to be called once a second.
	 * True: each vCPU is to be kicked, and does the rest before it runs
	 * again.  Loop thread.  NULL where the backend's kernel does it.
	 */
	bool (*tick)(struct hv_vm *vm);

	/*
	 * Has the kernel answer the guest's writes of `size` bytes to `port`
	 * by a signal to the eventfd `fd`, without an exit, or ends that: 0
	 * or -errno.  Each write is either a signal or an exit.  Any thread;
	 * NULL where there is no such thing.
	 */
	int (*doorbell)(struct hv_vm *vm, uint16_t port, uint8_t size,
	    int fd, bool on);

	/*
	 * Sends a message to the guest's local APICs: 0, also if none takes
	 * it, or -EINVAL: its address is not theirs.  Any thread.  NULL:
	 * guests have no local APIC, and nothing of the next two.
	 */
	int (*msi)(struct hv_vm *vm, const struct hv_msi *msg);

	/*
	 * Has the kernel send a message at each signal to the eventfd `fd`; 0
	 * or -errno.  Signals that wait are sent at once.  Binding a slot
	 * again replaces its message; NULL unbinds it, and from then on
	 * signals stay counted in the eventfd.  Any thread.
	 */
	int (*msi_event)(struct hv_vm *vm, unsigned slot, int fd,
	    const struct hv_msi *msg);

	/*
	 * Tells what message a level-triggered pin of the IOAPIC sends, so
	 * that its end is reported; NULL: none.  A masked pin keeps its
	 * message, since the last may not have ended.  0 or -errno; any
	 * thread.  NULL where all ends are reported anyway.
	 */
	int (*ioapic_route)(struct hv_vm *vm, unsigned pin,
	    const struct hv_msi *msg);

	/* Creates vCPU `id`, on the thread that will run it; as vm_create. */
	int (*vcpu_create)(struct hv_vcpu **vcpu, struct hv_vm *vm,
	    unsigned id, char *err, size_t errlen);
	void (*vcpu_destroy)(struct hv_vcpu *vcpu);

	/* vCPU thread, not while running; 0 or -errno (bad state). */
	int (*get_regs)(struct hv_vcpu *vcpu, struct hv_regs *regs);
	int (*set_regs)(struct hv_vcpu *vcpu, const struct hv_regs *regs);

	/*
	 * Runs the guest until something is for the daemon.  Finishes the
	 * previous exit first (the value of an IN).  A vCPU that is halted, or
	 * waits to be started, waits in here.  vCPU thread.
	 */
	void (*run)(struct hv_vcpu *vcpu, struct hv_exit *exit);

	/*
	 * The PIC's interrupts; vCPU 0 only.  Could one be delivered on the
	 * next entry?
	 */
	bool (*intr_ready)(struct hv_vcpu *vcpu);
	/* Delivers one on the next entry; only after intr_ready(). */
	int (*inject)(struct hv_vcpu *vcpu, uint8_t vector);
	/* Asks for HV_EXIT_INTR_WINDOW as soon as intr_ready() holds. */
	void (*intr_window)(struct hv_vcpu *vcpu, bool want);

	/*
	 * Makes the current or next run() return soon; any thread, while the
	 * vCPU exists.  A kick is never lost.
	 */
	void (*kick)(struct hv_vcpu *vcpu);

	/*
	 * Is the vCPU halted with interrupts disabled, or has it not been
	 * started, and nothing has been sent that wakes it?  vCPU thread, or
	 * another while that one waits; not while running.
	 */
	bool (*is_halted)(struct hv_vcpu *vcpu);

	/*
	 * The guest goes on after a pause: its watchdogs shall not take that
	 * for a hang.  vCPU thread.
	 */
	void (*resumed)(struct hv_vcpu *vcpu);

	/* Any thread, while the vCPU exists; never waits for a run. */
	void (*stats)(struct hv_vcpu *vcpu, struct hv_stats *st);
};

/* Is the message one for local APICs? */
static inline bool
hv_msi_valid(const struct hv_msi *msg)
{
	return msg->addr >> 20 == 0xfee;
}

/* Puts every thread of the daemon that runs a vCPU under kick's signal. */
int hv_init(void);

/* First thing on a thread that will run a vCPU: only kicks interrupt it. */
void hv_thread_init(void);

/*
 * The backend called `name`, or for "auto" the first that probes well.  NULL
 * and one line in `err` if there is none.
 */
const struct hv_ops *hv_find(const char *name, char *err, size_t errlen);

#endif /* VMMD_HV_H */
