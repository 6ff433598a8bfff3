/* SPDX-License-Identifier: ISC */
/*
 * Domain names as they are on the wire (RFC 1035, 3.1).
 */
#ifndef VMMD_DNAME_H
#define VMMD_DNAME_H

#include <stddef.h>
#include <stdint.h>

#define DNAME_MAX	255

/*
 * Puts `text`, labels and dots, into `wire`: its length; 0 if it is empty or no
 * domain name.  A dot at the end changes nothing.
 */
size_t dname_encode(uint8_t wire[DNAME_MAX], const char *text);

#endif /* VMMD_DNAME_H */
