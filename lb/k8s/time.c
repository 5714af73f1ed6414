/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Reading RFC 3339. */
#include "lb/k8s/time.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define NSEC_PER_SEC 1000000000LL
/* what 64 bits of nanoseconds can hold, and years to spare on both sides */
#define MAX_SECONDS 9000000000LL

/* ".25": the digits beyond nanoseconds are dropped. */
static const char *read_fraction(const char *text, int64_t *ret_ns)
{
	int64_t ns = 0, unit = NSEC_PER_SEC / 10;

	*ret_ns = 0;
	if (*text != '.')
		return text;
	for (text++; *text >= '0' && *text <= '9'; text++, unit /= 10)
		ns += unit * (*text - '0');
	*ret_ns = ns;
	return text;
}

int fl_time_parse(const char *text, int64_t *ret_unix_ns)
{
	int64_t offset = 0, fraction, seconds;
	struct tm tm = {0};
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);

	if (!rest)
		return -EINVAL;
	rest = read_fraction(rest, &fraction);
	if (*rest == '+' || *rest == '-') {
		struct tm zone = {0};
		const char *end = strptime(rest + 1, "%H:%M", &zone);

		if (!end)
			return -EINVAL;
		offset = (zone.tm_hour * 60 + zone.tm_min) * 60 * (*rest == '-' ? -1 : 1);
		rest = end;
	} else if (*rest == 'Z') {
		rest++;
	} else {
		return -EINVAL;
	}
	if (*rest)
		return -EINVAL;
	seconds = timegm(&tm) - offset;
	if (seconds > MAX_SECONDS || seconds < -MAX_SECONDS)
		return -EINVAL;
	*ret_unix_ns = seconds * NSEC_PER_SEC + fraction;
	return 0;
}
