/* SPDX-License-Identifier: ISC */
/*
 * Performs one instruction of a guest that its processor could not: string
 * I/O on ports, or an access where no RAM is.
 *
 * RAM is read and written here; what is the devices' is handed out as an exit,
 * one access at a time, and insn_run() goes on when it has been served.  So an
 * instruction may take several exits, of which the guest sees nothing: all
 * its addresses are checked before the first, and registers change after the
 * last.
 *
 * Used by one thread, the vCPU's.
 */
#ifndef VMMD_INSN_H
#define VMMD_INSN_H

#include <stdbool.h>
#include <stdint.h>

struct gmem;
struct hv_exit;
struct hv_regs;
struct insn;

/* Elements of a string instruction that are done without entering the guest. */
#define INSN_REP_MAX	1024

/*
 * A string I/O that the processor exited for, so that it has checked the
 * right to use the port; what the instruction turns out to be must agree.
 */
struct insn_port {
	uint16_t	port;
	uint8_t		size;
	bool		in;
};

struct insn_fault {
	uint8_t		vector;
	bool		has_error;
	uint32_t	error;
};

enum insn_end {
	INSN_EXIT,	/* serve *e, then go on with insn_run() */
	INSN_DONE,	/* performed, maybe some elements: see the registers */
	INSN_AGAIN,	/* nothing is done: let the processor try again */
	INSN_FAULT,	/* insn_fault() is to be raised, CR2 is set */
	INSN_REFUSED,	/* the guest cannot go on: see e->msg */
};

/* `phys_bits`: the width of guest-physical addresses.  NULL: no memory. */
struct insn *insn_create(const struct gmem *gm, unsigned phys_bits);
void insn_destroy(struct insn *in);

/*
 * Begins with the instruction at r->rip; `port` is NULL unless that was the
 * exit.  *r is read and written until an end other than INSN_EXIT.
 */
void insn_begin(struct insn *in, struct hv_regs *r,
    const struct insn_port *port);

/*
 * After insn_begin(): the first `n` bytes of the instruction, where the
 * processor told them; up to 15, and perhaps fewer than it has.
 */
void insn_give(struct insn *in, const uint8_t *bytes, unsigned n);

enum insn_end insn_run(struct insn *in, struct hv_exit *e);

/* After INSN_FAULT. */
struct insn_fault insn_fault(const struct insn *in);

#endif /* VMMD_INSN_H */
