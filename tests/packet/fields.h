/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which header field a byte of a frame belongs to, so that a difference between two frames can be
 * reported by name. */
#pragma once

#include "tests/packet/frame.h"

enum field_kind {
	FIELD_NUMBER, /* up to four bytes, network byte order */
	FIELD_MAC,
	FIELD_ADDRESS, /* IPv4 or IPv6, by its length */
	FIELD_BYTES,
};

struct field {
	const char *name;
	uint8_t len; /* bytes */
	enum field_kind kind;
};

struct field_at {
	const char *layer; /* "IPv4", "quoted UDP" */
	struct field field;
	uint32_t at;
};

/* The field with this byte; beyond the headers, the payload from there on. */
struct field_at field_find(const struct frame *frame, uint32_t at);

/* Whether the frames are the same; if not, write a line for each field that differs. */
bool frames_equal(const struct frame *got, const struct frame *want, FILE *out);
