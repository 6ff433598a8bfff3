/* SPDX-License-Identifier: ISC */
/*
 * What check_qcow2_interop.c does, on the daemon's own engines by turns, which
 * loopaio.c has instead of the fake one.
 */
#include "check_qcow2_interop.c"
