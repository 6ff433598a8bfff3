/* SPDX-License-Identifier: ISC */
/*
 * The policy that t/net/packets.tab has its verdicts of.
 */
#ifndef PPOLICY_H
#define PPOLICY_H

#include "net/fw.h"

extern const struct fw_policy ppolicy;

#endif /* PPOLICY_H */
