// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The model-specific registers a guest may use, one row each.  What is not in
 * the table is the daemon's to decide on; the CPU kind lets some through
 * without an exit, and those are not here.
 */
#include <linux/kernel.h>
#include <asm/msr-index.h>
#include <asm/kvm_para.h>

#include "vmm.h"

struct msr_row {
	u32	msr;
	u64	value;		/* what it reads without a read function */
	int	(*read)(struct vcpu *v, u64 *val);
	int	(*write)(struct vcpu *v, u64 val);	/* NULL: read-only */
};

static int read_tsc(struct vcpu *v, u64 *val)
{
	*val = guest_tsc(v->vm);
	return 0;
}

static int read_efer(struct vcpu *v, u64 *val)
{
	*val = vmm_cpu->efer(v);
	return 0;
}

static int write_efer(struct vcpu *v, u64 val)
{
	return vmm_cpu->set_efer(v, val) ? -EPERM : 0;
}

static int read_apic_base(struct vcpu *v, u64 *val)
{
	*val = v->lapic.base;
	return 0;
}

static int read_pat(struct vcpu *v, u64 *val)
{
	*val = vmm_cpu->pat(v);
	return 0;
}

bool pat_valid(u64 val)
{
	int i;

	/* Each byte a memory type: not 2, 3 nor above 7. */
	for (i = 0; i < 64; i += 8) {
		u8 type = val >> i;

		if (type > 7 || type == 2 || type == 3)
			return false;
	}
	return true;
}

static int write_pat(struct vcpu *v, u64 val)
{
	if (!pat_valid(val))
		return -EPERM;
	vmm_cpu->set_pat(v, val);
	return 0;
}

static int read_system_time(struct vcpu *v, u64 *val)
{
	*val = pvclock_system_time(v);
	return 0;
}

static int read_wall_clock(struct vcpu *v, u64 *val)
{
	*val = v->wall_clock;
	return 0;
}

static int read_steal(struct vcpu *v, u64 *val)
{
	*val = v->steal.msr;
	return 0;
}

static int read_eoi(struct vcpu *v, u64 *val)
{
	*val = v->eoi.msr;
	return 0;
}

static int write_ignored(struct vcpu *v, u64 val)
{
	return 0;
}

/* LFENCE waits for what came before it: always so here. */
#define DE_CFG_SERIALIZE	BIT_ULL(MSR_AMD64_DE_CFG_LFENCE_SERIALIZE_BIT)

static const struct msr_row msr_table[] = {
	{ MSR_IA32_TSC,			.read = read_tsc },
	{ MSR_EFER,			.read = read_efer,
					.write = write_efer },
	{ MSR_IA32_APICBASE,		.read = read_apic_base,
					.write = apic_write_base },
	{ MSR_IA32_CR_PAT,		.read = read_pat,
					.write = write_pat },
	{ MSR_KVM_SYSTEM_TIME_NEW,	.read = read_system_time,
					.write = pvclock_set_system_time },
	{ MSR_KVM_SYSTEM_TIME,		.read = read_system_time,
					.write = pvclock_set_system_time },
	{ MSR_KVM_WALL_CLOCK_NEW,	.read = read_wall_clock,
					.write = pvclock_set_wall_clock },
	{ MSR_KVM_WALL_CLOCK,		.read = read_wall_clock,
					.write = pvclock_set_wall_clock },
	{ MSR_KVM_STEAL_TIME,		.read = read_steal,
					.write = steal_set },
	{ MSR_KVM_PV_EOI_EN,		.read = read_eoi,
					.write = eoi_set },
	{ MSR_IA32_UCODE_REV,		.write = write_ignored },
	{ MSR_IA32_PLATFORM_ID },
	{ MSR_IA32_DEBUGCTLMSR,		.write = write_ignored },
	{ MSR_AMD64_DE_CFG,		DE_CFG_SERIALIZE,
					.write = write_ignored },
	{ MSR_AMD64_SYSCFG,		.write = write_ignored },
	{ MSR_AMD64_PATCH_LEVEL,	.write = write_ignored },
	{ MSR_AMD64_TSC_RATIO,		1ULL << 32 },
	{ MSR_AMD64_OSVW_ID_LENGTH },
	{ MSR_AMD64_OSVW_STATUS },
	{ MSR_K8_INT_PENDING_MSG,	.write = write_ignored },
	{ MSR_AMD64_NB_CFG,		.write = write_ignored },
	{ MSR_K7_HWCR,			.write = write_ignored },
	{ MSR_FAM10H_MMIO_CONF_BASE,	.write = write_ignored },
};

static const struct msr_row *find(u32 msr)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(msr_table); i++)
		if (msr_table[i].msr == msr)
			return &msr_table[i];
	return NULL;
}

int msr_read(struct vcpu *v, u32 msr, u64 *val)
{
	const struct msr_row *row = find(msr);

	if (!row)
		return -ENOENT;
	*val = row->value;
	return row->read ? row->read(v, val) : 0;
}

int msr_write(struct vcpu *v, u32 msr, u64 val)
{
	const struct msr_row *row = find(msr);

	if (!row)
		return -ENOENT;
	return row->write ? row->write(v, val) : -EPERM;
}
