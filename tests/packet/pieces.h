/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Fragments of a packet (RFC 791, 8200), and headers between IP and TCP or UDP. */
#pragma once

#include "tests/packet/trial.h"

/* `size` bytes of what is behind the IP header, from `at` on; beyond the packet they are zero. */
struct piece {
	uint16_t at, size;
	bool more; /* others follow */
};

/* The fragment of a packet made by frame_build(). id: host byte order. */
void piece_build(const struct frame *whole, uint32_t id, struct piece piece,
		 struct frame *ret_frame);
/* The number of a fragment. */
uint32_t piece_id(const struct frame *frame);
/* Wait for a frame with the number and offset of this fragment. */
void piece_receive(struct trial *t, int fd, const struct frame *like, struct frame *ret_frame);

/* Put bytes behind the IP header: options, or an extension header of this number, whose first byte
 * says what follows it. */
void frame_insert(const struct frame *plain, const uint8_t *bytes, uint8_t size, uint8_t header,
		  struct frame *ret_frame);
