// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Load every program with every setting and say what the verifier made of it: TAP for each object
 * and set of settings, and a CSV row for each program with the most that it took. Needs libbpf
 * only, so that it runs wherever the objects do. Of a program that is refused the whole log is
 * shown.
 *
 *     load [--quick] COMPILER CSV OBJECT...
 *
 * --quick: no setting and every setting only.
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include "bpf/abi/fairlead.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))
#define LOG_STATS 4 /* BPF_LOG_STATS: only what a program took */
#define LOG_PATH 1  /* BPF_LOG_LEVEL1: the way to what is refused, instruction by instruction */
#define STATS_ROOM (64 << 10) /* also holds an error and what is said beside it */
#define PATH_ROOM (16 << 20)
#define MAX_PROGRAMS 64
#define FEW 1024 /* elements, a power of two: the verifier does not ask how many there are */

/* What an agent may switch, each independent of the others. `needs`: where the kernel has it. */
static const struct setting {
	const char *name;
	size_t offset, size;
	enum bpf_func_id needs;
} settings[] = {
#define SETTING(field, ...)                                                                        \
	{                                                                                          \
		.name = #field, .offset = offsetof(struct fl_config, field),                       \
		.size = sizeof(((struct fl_config *)0)->field), __VA_ARGS__                        \
	}
	SETTING(new_flow_rate),
	SETTING(reject_rate),
	SETTING(masquerade_local),
	SETTING(reject_unknown_port),
	SETTING(answer_echo),
	SETTING(check_mtu),
	SETTING(unfinished_sums),
	SETTING(dispatch),
	SETTING(set_retval, .needs = BPF_FUNC_set_retval),
};

/* Bits of `settings`. Nothing, everything, one alone and all but one: with them, whatever three
 * settings are chosen, each of their eight combinations is loaded. */
#define CHOICES (2 + 2 * N(settings))

static uint32_t choice_bits(size_t choice)
{
	const uint32_t all = (1U << N(settings)) - 1;

	if (choice < 2)
		return choice ? all : 0;
	choice -= 2;
	return choice < N(settings) ? 1U << choice : all & ~(1U << (choice - N(settings)));
}

static const char *choice_name(size_t choice, char *buf, size_t len)
{
	if (choice < 2)
		return choice ? "every setting" : "no setting";
	choice -= 2;
	snprintf(buf, len, "%s %s", choice < N(settings) ? "only" : "all but",
		 settings[choice % N(settings)].name);
	return buf;
}

/* The most that a program took, and with which settings. */
struct cost {
	char program[64];
	uint32_t insns, states, peak_states, stack, jited;
	size_t choice;
};

static struct {
	struct cost costs[MAX_PROGRAMS];
	size_t n_costs;
	unsigned int tests;
	const char *shown; /* the object whose logs have been shown: with other settings they say
			      the same */
	bool failed;
} run;

__attribute__((format(printf, 2, 3))) static bool result(bool ok, const char *fmt, ...)
{
	va_list ap;

	printf("%sok %u - ", ok ? "" : "not ", ++run.tests);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
	run.failed |= !ok;
	return ok;
}

static void comment(const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");

		printf("# %.*s\n", (int)len, text);
		text += len + (text[len] == '\n');
	}
	fflush(stdout);
}

static int print_warning(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	char text[1000];

	/* libbpf repeats logs, which are shown here once */
	if (level == LIBBPF_WARN && !strstr(fmt, "LOG")) {
		vsnprintf(text, sizeof(text), fmt, ap);
		comment(text);
	}
	return 0;
}

/* What an agent sets in any case. */
static void set_config(struct fl_config *c, uint32_t bits)
{
	memset(c, 0, sizeof(*c));
	c->flow_seed[0] = 0x0123456789abcdef;
	c->flow_seed[1] = 0xfedcba9876543210;
	c->maglev_seed = 0x1122334455667788;
	c->host_netns = 1;
	c->flow4_mask = c->flow6_mask = c->frontend_mask = FEW - 1;
	c->hz = 250;
	c->next_hop_ttl = 250;
	for (int i = 0; i < FL_TIMEOUTS; i++)
		c->timeout[i] = 60 * c->hz;
	fl_config_spread_timeouts(c);
	for (size_t i = 0; i < N(settings); i++)
		if (bits & 1U << i)
			memset((char *)c + settings[i].offset, 1, settings[i].size);
}

/* The constants of an object, to be written before it is loaded. */
static struct fl_config *find_config(struct bpf_object *object)
{
	const struct bpf_map *rodata = bpf_object__find_map_by_name(object, ".rodata");
	const struct btf *btf = bpf_object__btf(object);
	size_t size = 0;
	char *data =
		rodata ? (char *)bpf_map__initial_value((struct bpf_map *)rodata, &size) : NULL;
	int id = btf ? btf__find_by_name_kind(btf, ".rodata", BTF_KIND_DATASEC) : -ENOENT;
	const struct btf_type *section = id > 0 ? btf__type_by_id(btf, (uint32_t)id) : NULL;

	for (int i = 0; data && section && i < btf_vlen(section); i++) {
		const struct btf_var_secinfo *at = btf_var_secinfos(section) + i;
		const char *name =
			btf__name_by_offset(btf, btf__type_by_id(btf, at->type)->name_off);

		if (!strcmp(name, "fl_config") && at->size == sizeof(struct fl_config) &&
		    at->offset + at->size <= size)
			return (struct fl_config *)(data + at->offset);
	}
	return NULL;
}

/* NULL: it cannot even be opened, which has been said. Only programs have settings. */
static struct bpf_object *open_object(const char *path, uint32_t bits)
{
	struct bpf_object *object = bpf_object__open_file(path, NULL);
	const bool only_maps = object && !bpf_object__next_program(object, NULL);
	struct fl_config *config = object ? find_config(object) : NULL;
	struct bpf_map *map;

	if (!config && !only_maps) {
		printf("# %s: %s\n", path, object ? "no fl_config of this build" : strerror(errno));
		bpf_object__close(object);
		return NULL;
	}
	if (config)
		set_config(config, bits);
	bpf_object__for_each_map(map, object) if (!bpf_map__is_internal(map) &&
						  bpf_map__max_entries(map) > FEW)
		bpf_map__set_max_entries(map, FEW);
	return object;
}

/* Load one program alone, and show all that the verifier says. */
static void show_refusal(const char *path, uint32_t bits, const char *name)
{
	struct bpf_object *object = open_object(path, bits);
	char *log = calloc(1, PATH_ROOM);
	struct bpf_program *prog;

	if (object && log) {
		bpf_object__for_each_program(prog, object)
		{
			bpf_program__set_autoload(prog, !strcmp(bpf_program__name(prog), name));
			bpf_program__set_log_level(prog, LOG_PATH);
			bpf_program__set_log_buf(prog, log, PATH_ROOM);
		}
		if (bpf_object__load(object)) {
			printf("# %s is refused: %s; the verifier's log:\n", name, strerror(errno));
			comment(log);
		}
	}
	free(log);
	bpf_object__close(object);
}

static uint32_t number_after(const char *log, const char *word)
{
	const char *at = strstr(log, word);

	return at ? (uint32_t)strtoul(at + strlen(word), NULL, 10) : 0;
}

/* Of several functions, "stack depth 40+120+16": what they take together, at most. */
static uint32_t stack_of(const char *log)
{
	const char *at = strstr(log, "stack depth ");
	uint32_t sum = 0;
	char *end;

	for (at = at ? at + 12 : ""; *at; at = end + 1) {
		sum += (uint32_t)strtoul(at, &end, 10);
		if (*end != '+')
			break;
	}
	return sum;
}

static void keep_cost(struct bpf_program *prog, const char *log, size_t choice)
{
	const char *name = bpf_program__name(prog);
	struct bpf_prog_info info = {0};
	uint32_t len = sizeof(info);
	struct cost cost = {
		.insns = number_after(log, "processed "),
		.states = number_after(log, "total_states "),
		.peak_states = number_after(log, "peak_states "),
		.stack = stack_of(log),
		.choice = choice,
	};
	struct cost *kept = run.costs;

	if (!bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info, &len))
		cost.jited = info.jited_prog_len;
	while (kept < run.costs + run.n_costs && strcmp(kept->program, name))
		kept++;
	if (kept == run.costs + run.n_costs) {
		if (run.n_costs == MAX_PROGRAMS)
			return;
		run.n_costs++;
	}
	if (cost.insns > kept->insns) {
		*kept = cost;
		snprintf(kept->program, sizeof(kept->program), "%s", name);
	}
}

static void load_object(const char *path, size_t choice, uint32_t absent)
{
	const char *file = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	const uint32_t bits = choice_bits(choice) & ~absent;
	struct bpf_object *object = open_object(path, bits);
	char *logs = calloc(MAX_PROGRAMS, STATS_ROOM), buf[64];
	const char *name = choice_name(choice, buf, sizeof(buf));
	struct bpf_program *prog;
	uint32_t most = 0;
	size_t n = 0;

	if (!object || !logs) {
		result(false, "%s, %s: cannot be opened", file, name);
		goto out;
	}
	bpf_object__for_each_program(prog, object)
	{
		if (n == MAX_PROGRAMS)
			break;
		bpf_program__set_log_level(prog, LOG_STATS);
		bpf_program__set_log_buf(prog, logs + n++ * STATS_ROOM, STATS_ROOM);
	}
	if (bpf_object__load(object)) {
		result(false, "%s, %s: %s", file, name, strerror(errno));
		bpf_object__for_each_program(prog, object) if (run.shown != path)
			show_refusal(path, bits, bpf_program__name(prog));
		run.shown = path;
		goto out;
	}
	n = 0;
	bpf_object__for_each_program(prog, object)
	{
		const char *log = logs + n++ * STATS_ROOM;

		keep_cost(prog, log, choice);
		if (number_after(log, "processed ") > most)
			most = number_after(log, "processed ");
	}
	result(most > 0 || !n, "%s, %s: %zu programs, the longest %u instructions", file, name, n,
	       most);
out:
	bpf_object__close(object);
	free(logs);
}

static int write_costs(const char *path, const char *compiler)
{
	FILE *f = fopen(path, "a");
	struct utsname kernel;

	if (!f || uname(&kernel))
		return -errno;
	for (size_t i = 0; i < run.n_costs; i++) {
		const struct cost *c = &run.costs[i];
		char buf[64];

		fprintf(f, "%s,%s,%s,%s,%u,%u,%u,%u,%u,%s\n", kernel.machine, kernel.release,
			compiler, c->program, c->insns, c->states, c->peak_states, c->stack,
			c->jited, choice_name(c->choice, buf, sizeof(buf)));
	}
	return fclose(f) ? -errno : 0;
}

int main(int argc, char **argv)
{
	const struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
	const int quick = argc > 1 && !strcmp(argv[1], "--quick");
	uint32_t absent = 0;
	int r;

	argv += quick;
	argc -= quick;
	if (argc < 4) {
		fprintf(stderr, "usage: load [--quick] COMPILER CSV OBJECT...\n");
		return 2;
	}
	setrlimit(RLIMIT_MEMLOCK, &unlimited); /* kernels before 5.11 count maps */
	for (size_t i = 0; i < N(settings); i++)
		if (settings[i].needs && libbpf_probe_bpf_helper(BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
								 settings[i].needs, NULL) != 1) {
			printf("# this kernel has nothing for %s\n", settings[i].name);
			absent |= 1U << i;
		}
	libbpf_set_print(print_warning);
	for (int i = 3; i < argc; i++)
		for (size_t choice = 0; choice < (quick ? 2 : CHOICES); choice++)
			load_object(argv[i], choice, absent);
	r = write_costs(argv[2], argv[1]);
	if (r)
		result(false, "cannot write %s: %s", argv[2], strerror(-r));
	printf("1..%u\n", run.tests);
	return run.failed;
}
