/* SPDX-License-Identifier: ISC */
/*
 * Text that somebody else wrote, and that is UTF-8 (RFC 3629) or not.
 * Any thread.
 */
#ifndef VMMD_UTF8_H
#define VMMD_UTF8_H

#include <stddef.h>
#include <stdio.h>

/* Bytes of the character that a string begins with, or 0 if it is none. */
size_t utf8_length(const char *s);

/*
 * Prints what a terminal does not obey: `?' is for each control character, C1's
 * too, and for each byte that is no UTF-8.
 */
void utf8_print(FILE *out, const char *s);

#endif /* VMMD_UTF8_H */
