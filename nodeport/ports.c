// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Source ports for masquerading: all ports without those in use. The datapath's probing works on a
 * few ranges, so the biggest runs are taken and the rest is left.
 */
#include "nodeport/ports.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lb/base/cleanup.h"

#define FIRST_PORT 1024
#define LAST_PORT 65535
#define MAX_SPANS 256

static int parse_port(const char **cursor, uint16_t *ret_port)
{
	const char *p = *cursor + strspn(*cursor, " \t");
	char *end;
	unsigned long n;

	if (*p < '0' || *p > '9')
		return -EINVAL;
	n = strtoul(p, &end, 10);
	if (n > 65535)
		return -EINVAL;
	*ret_port = (uint16_t)n;
	*cursor = end + strspn(end, " \t");
	return 0;
}

/* One span at *cursor, which moves behind it. */
static int parse_span(const char **cursor, struct fl_port_span *ret_span)
{
	struct fl_port_span span;
	int r = parse_port(cursor, &span.first);

	if (r)
		return r;
	span.last = span.first;
	if (**cursor == '-') {
		++*cursor;
		r = parse_port(cursor, &span.last);
		if (r)
			return r;
	}
	if (span.last < span.first)
		return -EINVAL;
	*ret_span = span;
	return 0;
}

int fl_port_span_parse(const char *text, struct fl_port_span *ret_span)
{
	struct fl_port_span span;
	int r = parse_span(&text, &span);

	if (r || *text)
		return -EINVAL;
	*ret_span = span;
	return 0;
}

int fl_port_spans_parse(const char *text, struct fl_port_span *ret_spans, size_t max, size_t *ret_n)
{
	size_t n = 0;

	text += strspn(text, " \t\n");
	while (*text) {
		int r;

		if (n == max)
			return -E2BIG;
		r = parse_span(&text, &ret_spans[n]);
		if (r)
			return r;
		n++;
		if (*text == ',')
			text++;
		else if (*text && *text != '\n')
			return -EINVAL;
		text += strspn(text, "\n");
	}
	*ret_n = n;
	return 0;
}

/* Put a run among the biggest ones, of which the smallest may drop out. Equal ones stay in order of
 * port. */
static void keep_biggest(struct fl_port_range ranges[static FL_PORT_RANGES],
			 struct fl_port_range run)
{
	for (size_t i = 0; i < FL_PORT_RANGES; i++) {
		struct fl_port_range old = ranges[i];

		if (run.count > old.count) {
			ranges[i] = run;
			run = old;
		}
	}
}

static int compare_spans(const void *a, const void *b)
{
	const struct fl_port_span *x = a, *y = b;

	return (int)x->first - (int)y->first;
}

int fl_source_ports_make(const struct fl_port_span *exclude, size_t n_exclude,
			 struct fl_port_range ret_ranges[static FL_PORT_RANGES], struct fl_err *err)
{
	struct fl_port_range ranges[FL_PORT_RANGES] = {0};
	_cleanup_free_ struct fl_port_span *used = calloc(n_exclude + 1, sizeof(*used));
	uint32_t start = FIRST_PORT; /* of what may be a run */

	if (!used)
		return fl_err_set(err, -ENOMEM, "out of memory");
	if (n_exclude)
		memcpy(used, exclude, n_exclude * sizeof(*used));
	qsort(used, n_exclude, sizeof(*used), compare_spans);
	for (size_t i = 0; i <= n_exclude; i++) {
		const uint32_t end = i < n_exclude ? used[i].first : LAST_PORT + 1;

		if (end > start)
			keep_biggest(ranges, (struct fl_port_range){(uint16_t)start,
								    (uint16_t)(end - start)});
		if (i < n_exclude && used[i].last + 1u > start)
			start = used[i].last + 1u;
	}
	if (!ranges[0].count)
		return fl_err_set(err, -ENOSPC,
				  "no source port is left for masquerading: node ports, "
				  "ip_local_port_range and "
				  "ip_local_reserved_ports cover all of %d-%d",
				  FIRST_PORT, LAST_PORT);
	memcpy(ret_ranges, ranges, sizeof(ranges));
	return 0;
}

/* A setting of the kernel as text; "" when it cannot be read. */
static bool read_setting(const char *path, char *ret_text, size_t size)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, ret_text, size - 1);

	ret_text[n > 0 ? n : 0] = '\0';
	return n >= 0;
}

int fl_source_ports_read(const struct fl_port_span *node_ports,
			 struct fl_port_range ret_ranges[static FL_PORT_RANGES], bool *ret_known,
			 struct fl_err *err)
{
	struct fl_port_span exclude[MAX_SPANS + 2] = {*node_ports, {32768, 60999}};
	unsigned int first, last;
	char text[8192];
	size_t n = 0;
	bool known;
	int r;

	known = read_setting("/proc/sys/net/ipv4/ip_local_port_range", text, sizeof(text));
	if (sscanf(text, "%u %u", &first, &last) == 2 && first <= last && last <= 65535)
		exclude[1] = (struct fl_port_span){(uint16_t)first, (uint16_t)last};
	known &= read_setting("/proc/sys/net/ipv4/ip_local_reserved_ports", text, sizeof(text));
	if (ret_known)
		*ret_known = known;
	r = fl_port_spans_parse(text, exclude + 2, MAX_SPANS, &n);
	if (r)
		return fl_err_set(err, r, "cannot understand ip_local_reserved_ports");
	return fl_source_ports_make(exclude, n + 2, ret_ranges, err);
}
