/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A digest of a text line by line, by which a file that was cut off is known: it begins as the one
 * before did, and ends early. One byte per line is enough, since all must agree.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fl_text_digest {
	uint8_t *digest; /* of each whole line; owned */
	uint32_t n, room;
	bool open_end; /* what follows the last line break is not empty */
};

/* Replace what `lines` holds. 0 or -ENOMEM. */
int fl_text_digest_read(struct fl_text_digest *lines, const char *text, size_t len);
void fl_text_digest_fini(struct fl_text_digest *lines);
/* Whether `now` is the beginning of `before`, and shorter. */
bool fl_text_is_cut(const struct fl_text_digest *now, const struct fl_text_digest *before);
