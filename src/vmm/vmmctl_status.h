/* SPDX-License-Identifier: ISC */
/*
 * Rows for people to read.
 */
#ifndef VMMD_VMMCTL_STATUS_H
#define VMMD_VMMCTL_STATUS_H

#include <stdio.h>

#include "vmm/vmmctl_rows.h"

/* An aligned table of guests below a line about the daemon. */
void status_print(FILE *out, const struct rows *rs);

/* One guest, a line for each thing that is known. */
void show_print(FILE *out, const struct rows *rs);

/* The values alone, a line for each row; names of switches and policies as such. */
void values_print(FILE *out, const struct rows *rs);

#endif /* VMMD_VMMCTL_STATUS_H */
