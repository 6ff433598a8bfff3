/* SPDX-License-Identifier: ISC */
/*
 * Rows as JSON.
 */
#ifndef VMMD_VMMCTL_JSON_H
#define VMMD_VMMCTL_JSON_H

#include <stdio.h>

#include "vmm/vmmctl_rows.h"

/* Writes `s` as a JSON string; what is no UTF-8 becomes U+FFFD. */
void json_string(FILE *out, const char *s);

/* A line with one row: {"KIND": {"KEY": VALUE, ...}}. */
void json_line(FILE *out, const struct row *r);

/*
 * A line with one object: the rows by their kinds, {"KIND": [ROW, ...], ...},
 * and "ok": true, or what went wrong if `code` is not NULL,
 * "error": {"code": CODE, "message": TEXT}.
 */
void json_reply(FILE *out, const struct rows *rs, const char *code,
    const char *text);

/* {"daemon": {...}, "vms": [...]}, one guest a line. */
void json_status(FILE *out, const struct rows *rs);

#endif /* VMMD_VMMCTL_JSON_H */
