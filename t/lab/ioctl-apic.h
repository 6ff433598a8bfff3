/* SPDX-License-Identifier: ISC */
/*
 * vmm-ioctl: a guest that does one thing with its local APIC at a time, as it
 * is told: read or write an MSR or CR8, halt, spin.
 */
#ifndef VMMD_IOCTL_APIC_H
#define VMMD_IOCTL_APIC_H

#include <stdbool.h>
#include <stdint.h>

#include "ioctl-test.h"

#define APIC_BASE	0x1b
#define TSC_DEADLINE	0x6e0
#define X2APIC		0x800	/* and the register's number */
#define BASE_X2APIC	0xfee00c00

extern const uint8_t apic_code[], apic_code_end[];

/* Opened with vCPU 0, whose APIC is an x2APIC and enabled. */
void		apic_open(struct guest *);
void		apic_enable(struct guest *);
/* One vCPU more; not enabled. */
void		apic_vcpu(const struct guest *, unsigned, struct guest *);

/* False: it was a #GP. */
bool		apic_wrmsr(struct guest *, uint32_t, uint64_t);
bool		apic_rdmsr(struct guest *, uint32_t, uint64_t *);
uint64_t	apic_reg(struct guest *, uint32_t);
void		apic_set_cr8(struct guest *, uint64_t);
uint64_t	apic_cr8(struct guest *);
/* About to halt or spin with interrupts enabled, or to halt without. */
void		apic_halt(struct guest *);
void		apic_spin(struct guest *);
void		apic_stop(struct guest *);
/* The vectors in IRR (0x20) or ISR (0x10), of a word of 32. */
uint32_t	apic_word(struct guest *, uint32_t, uint8_t);

int		msi_send(const struct guest *, uint64_t, uint32_t);

#endif /* VMMD_IOCTL_APIC_H */
