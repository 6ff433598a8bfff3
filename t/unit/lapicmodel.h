/* SPDX-License-Identifier: ISC */
/*
 * A model of the local APIC, written from the manuals alone: one bool for each
 * vector, sorting where the other counts bits, a timer that goes from beat to
 * beat.  Slow and plain.
 */
#ifndef VMMD_LAPICMODEL_H
#define VMMD_LAPICMODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/lapic.h"

#define GP		(-1)

struct model {
	enum { OFF, XAPIC, X2APIC } mode;
	bool		bsp;
	unsigned	id;
	bool		irr[256], isr[256], tmr[256];
	unsigned	tpr, svr, ldr, dfr, esr, errors;
	unsigned	dest, icr;		/* ICR's halves */
	unsigned	lvt[6];			/* timer to error */
	unsigned	initial, divide;
	bool		running;
	uint64_t	beat, deadline;
};

/* What a write makes others do. */
struct effect {
	bool			sends, ends, timer, tpr;
	unsigned		ended;
	struct lapic_msg	msg;
};

/* Power-on and INIT; mode, bsp and id are the caller's. */
void model_clear(struct model *m);

void model_accept(struct model *m, unsigned vector, bool level);
int model_pending(const struct model *m);
bool model_eoi_is_silent(const struct model *m);
void model_error(struct model *m, unsigned bits);
unsigned model_timer_mode(const struct model *m);
bool model_expired(struct model *m, uint64_t now, uint64_t tsc);
int model_base(struct model *m, uint64_t val);
bool model_is_for(const struct model *m, const struct lapic_msg *msg,
    unsigned sender);

/* Registers: a write; may one be read, what then; bits that may be written. */
int model_write(struct model *m, unsigned reg, uint64_t val, uint64_t now,
    struct effect *e);
bool model_may_read(const struct model *m, unsigned reg);
uint64_t model_load(const struct model *m, unsigned reg, uint64_t now);
uint64_t model_bits(const struct model *m, unsigned reg);

#endif /* VMMD_LAPICMODEL_H */
