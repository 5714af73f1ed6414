/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Weights as whole numbers that are as small as can be: how often a backend stands in a list, and
 * takes its turn when a table is made. Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Slots of a table for the smallest share, as long as the longest table has them: so a share is met
 * within 2 %. */
#define FL_MAGLEV_SHARE_SLOTS 50

/*
 * A share for each weight: in proportion to it, 0 for 0, at least 1 for all others. The shares are
 * the weights divided by what divides all of them; where those add up to more than `most`, they are
 * scaled down to that (but not below 1), so that proportions are met as well as can be. A share
 * depends on the weights alone, not on their order. Returns the sum of the shares.
 */
uint32_t fl_maglev_shares(const uint16_t *weights, size_t n, uint32_t most, uint32_t *ret_shares);
