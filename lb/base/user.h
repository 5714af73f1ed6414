/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who we are, without geteuid(2), which a serving agent would have to be allowed for this alone.
 * The kernel said it when the program was started, and nothing here changes it. */
#pragma once

#include <sys/auxv.h>
#include <sys/types.h>

static inline uid_t fl_user(void)
{
	return (uid_t)getauxval(AT_EUID);
}
