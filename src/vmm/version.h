/* SPDX-License-Identifier: ISC */
/*
 * The version, as in configure.ac.
 */
#ifndef VMMD_VERSION_H
#define VMMD_VERSION_H

#define VMMD_VERSION	"0.1.0"

#endif /* VMMD_VERSION_H */
