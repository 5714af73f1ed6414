// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Whole numbers in proportion to weights. */
#include "lb/maglev/shares.h"

static uint32_t common_divisor(uint32_t a, uint32_t b)
{
	while (b) {
		const uint32_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

uint32_t fl_maglev_shares(const uint16_t *weights, size_t n, uint32_t most, uint32_t *ret_shares)
{
	uint64_t sum = 0;
	uint32_t divisor = 0, room, total = 0;
	size_t n_positive = 0;

	for (size_t i = 0; i < n; i++) {
		divisor = common_divisor(weights[i], divisor);
		sum += weights[i];
		n_positive += weights[i] > 0;
	}
	if (!sum)
		divisor = 1;
	/* those that are rounded up to 1 must not make it more than `most` */
	room = most > n_positive ? most - (uint32_t)n_positive : 0;
	for (size_t i = 0; i < n; i++) {
		const uint32_t exact = weights[i] / divisor;
		const uint32_t scaled = sum ? (uint32_t)((uint64_t)weights[i] * room / sum) : 0;

		ret_shares[i] = sum / divisor <= most ? exact : scaled ? scaled : weights[i] > 0;
		total += ret_shares[i];
	}
	return total;
}
