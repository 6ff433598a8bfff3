/* SPDX-License-Identifier: ISC */
/*
 * A minimal program's way to either kernel interface: a VM of 64 KiB with
 * real-mode code in it.  Whatever fails ends the program.
 */
#ifndef VMMD_BENCH_RAW_H
#define VMMD_BENCH_RAW_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RAW_CODE	0x1000		/* where code begins, CS 0 */
#define RAW_RAM		0x10000
#define RAW_CPUS	2
#define RAW_BELL	0x200		/* the doorbell's port, 16 bits */
#define RAW_DONE	0x80		/* a write to this port ends a run */

enum raw_irqchip {
	RAW_NO_IRQCHIP,
	RAW_SPLIT,		/* HLT stays in the kernel */
	RAW_IRQCHIP,		/* as KVM's users have it for several CPUs */
};

struct raw {
	int		 vm;
	int		 vcpu[RAW_CPUS];
	void		*run[RAW_CPUS];
	unsigned	 ncpus;
	char		*ram;
	enum raw_irqchip irqchip;	/* KVM's; vmm has one kind */
	int		 event;		/* for kicks, of vmm */
	pthread_t	 thread;	/* runs CPU 0, of kvm */
};

struct raw_ops {
	/* ncpus and irqchip are set, ram has the code; CPU 1 waits for SIPI */
	void	(*open)(struct raw *);
	/* Runs a CPU until it writes RAW_DONE. */
	void	(*until_done)(struct raw *, unsigned);
	void	(*doorbell)(struct raw *, int);
	/* An interrupt message for CPU 0 at each signal of an eventfd. */
	void	(*msi)(struct raw *, int, uint8_t);
	void	(*can_kick)(struct raw *);	/* on CPU 0's thread */
	void	(*kick)(struct raw *);
	void	(*until_kick)(struct raw *);
};

/* "vmm" or "kvm", or it is a usage error of the program `usage` names. */
const struct raw_ops *raw_find(const char *name, const char *usage);

/* Opens a VM with this code. */
void raw_start(struct raw *, const struct raw_ops *, const char *code,
    const char *end);

int raw_check(int r, const char *what);

/* Monotonic, ns: in the lab's --icount mode instructions. */
double raw_now(void);

#endif /* VMMD_BENCH_RAW_H */
