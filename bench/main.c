// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * fairlead-bench: the drivers that bench/run calls. Measures; what the numbers mean is said there.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv, struct fl_err *err);
	const char *help;
} commands[] = {
	{"flows", bench_flows, "rows 1 and 2: established and new flows by BPF_PROG_TEST_RUN"},
	{"dsr", bench_dsr,
	 "row 1d: DSR, both sides, by BPF_PROG_TEST_RUN; --dispatch ipip, geneve"},
	{"foreign", bench_foreign, "row 1f: packets that are not ours, through XDP and tc"},
	{"refused", bench_refused, "row 2r: first packets that are refused; --kind"},
	{"node", bench_node, "rows 3 to 5: one contender's path over veth; commands on stdin"},
	{"sockets", bench_sockets, "row 7: connect() and sendto() under the socket hooks"},
	{"resteer", bench_resteer,
	 "UDP clients that follow their frontend: a pass over 1M entries"},
	{"agent", bench_agent, "rows 10 to 12: a whole agent on manifest files"},
	{"watch", bench_watch,
	 "rows 9 to 12 with an API server: when changes of Services show in the maps"},
	{"sync", bench_sync, "rows 8 and 9: services into maps"},
};

const char *bench_option_text(int argc, char **argv, const char *name, const char *fallback)
{
	for (int i = 0; i + 1 < argc; i++)
		if (!strcmp(argv[i], name))
			return argv[i + 1];
	return fallback;
}

uint64_t bench_option(int argc, char **argv, const char *name, uint64_t fallback)
{
	const char *text = bench_option_text(argc, argv, name, NULL);

	return text ? strtoull(text, NULL, 0) : fallback;
}

int bench_sizes(const char *list, size_t max, uint64_t ret_sizes[], size_t *ret_n,
		struct fl_err *err)
{
	size_t n = 0;

	for (const char *p = list; n < max && *p; p += strcspn(p, ","), p += *p == ',') {
		const uint64_t size = strtoull(p, NULL, 10);

		if (!size || size & (size - 1) || (n && size <= ret_sizes[n - 1]))
			return fl_err_set(err, -EINVAL, "--sizes %s: not ascending powers of two",
					  list);
		ret_sizes[n++] = size;
	}
	if (!n)
		return fl_err_set(err, -EINVAL, "--sizes: none");
	*ret_n = n;
	return 0;
}

int main(int argc, char **argv)
{
	struct fl_err err = {""};

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(*commands); i++) {
		if (strcmp(argv[1], commands[i].name))
			continue;
		if (!commands[i].run(argc - 2, argv + 2, &err))
			return 0;
		fprintf(stderr, "fairlead-bench %s: %s\n", argv[1], err.text);
		return 1;
	}
	fprintf(stderr, "usage: fairlead-bench COMMAND [OPTION VALUE]...\n");
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		fprintf(stderr, "  %-8s %s\n", commands[i].name, commands[i].help);
	return 2;
}
