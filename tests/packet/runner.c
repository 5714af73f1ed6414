// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* From a table of tests to a cmocka test for each combination of what they are run over. */
#include "tests/packet/runner.h"

#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"
#include "tests/packet/packet.h"

static const char *const family_names[FL_FAMILIES] = {"IPv4", "IPv6"};
static const uint8_t proto_table[] = {IPPROTO_TCP, IPPROTO_UDP};
static const char *const hook_names[HOOKS] = {
	[HOOK_XDP] = "XDP",
	[HOOK_XDP_TC] = "XDP then tc",
	[HOOK_TC_INGRESS] = "tc ingress",
	[HOOK_POD_INGRESS] = "pod ingress",
	[HOOK_TC_EGRESS] = "tc egress",
	[HOOK_POD_EGRESS] = "pod egress",
	[HOOK_WIRE] = "wire",
	[HOOK_SOCKET] = "socket",
	[HOOK_SOCKET_MAPPED] = "mapped socket",
};
static const char *const network_names[NETWORKS] = {
	[AT_POD] = "to a local pod",
	[AT_TX] = "to ext0",
	[AT_REDIRECT] = "to ext1",
	[AT_TC] = "to ext2",
	[AT_NARROW] = "by a narrow way",
	[AT_NOWHERE] = "to nowhere",
	[AT_UNRESOLVED] = "to an unknown neighbour",
};
static const char *const frontend_names[SCENE_FRONTENDS] = {
	"cluster IP",
	"external IP",
	"load balancer",
	"node port",
};

/* Whether a combination can be. */
static bool possible(const struct trial *t)
{
	bool xdp_sends = t->network != AT_TC && t->network != AT_UNRESOLVED;

	switch (t->hook) {
	case HOOK_XDP:
		return xdp_sends || !(t->test->hooks & ON_XDP_TC);
	case HOOK_XDP_TC: /* otherwise the same as XDP */
		return !xdp_sends;
	case HOOK_SOCKET_MAPPED:
		return t->family == FL_IPV4;
	default:
		return true;
	}
}

static bool in_set(uint32_t test_set, uint32_t row_set, uint32_t by_default, uint32_t element)
{
	return (test_set ? test_set : by_default) & (row_set ? row_set : UINT32_MAX) &
	       1U << element;
}

static bool several(uint32_t set)
{
	return set & (set - 1);
}

/*
 * topic.test[row] family protocol, hook, network, frontend; the last two where a test varies them
 */
static char *name_of(const struct trial *t)
{
	const struct row *row = t->row;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		abort();
	fprintf(out, "%s.%s", t->topic->name, t->test->name);
	if (row)
		fprintf(out, "[%s]", row->what);
	fprintf(out, " %s %s, %s", family_names[t->family], t->proto == IPPROTO_TCP ? "TCP" : "UDP",
		hook_names[t->hook]);
	if (several(t->test->networks))
		fprintf(out, ", %s", network_names[t->network]);
	if (several(t->test->frontends))
		fprintf(out, ", %s", frontend_names[t->frontend]);
	fclose(out);
	return text;
}

/* A growing list of trials. */
struct trials {
	struct trial **trial;
	size_t n, room;
};

static void trials_add(struct trials *trials, const struct trial *t)
{
	if (trials->n == trials->room) {
		trials->room = trials->room ? 2 * trials->room : 64;
		trials->trial = reallocarray(trials->trial, trials->room, sizeof(*trials->trial));
		if (!trials->trial)
			abort();
	}
	trials->trial[trials->n] = malloc(sizeof(*t));
	if (!trials->trial[trials->n])
		abort();
	*trials->trial[trials->n++] = *t;
}

static bool is_selected(const struct selection *selection, const char *name)
{
	for (int i = 0; i < selection->n_patterns; i++)
		if (strstr(name, selection->patterns[i]))
			return true;
	return !selection->n_patterns;
}

/* What a test is run over; each below its limit. */
enum axis {
	AXIS_FRONTEND,
	AXIS_NETWORK,
	AXIS_HOOK,
	AXIS_PROTO,
	AXIS_FAMILY,
	AXIS_ROW,
	AXES,
};

/* One combination: false if the test is not run over it. */
static bool trial_of(const struct topic *topic, const struct test *test, struct world *world,
		     const uint32_t at[AXES], struct trial *ret_trial)
{
	static const struct row every_row;
	const struct row *row = &every_row;
	struct trial t = {
		.topic = topic,
		.test = test,
		.family = (enum fl_family)at[AXIS_FAMILY],
		.proto = proto_table[at[AXIS_PROTO]],
		.hook = (enum hook)at[AXIS_HOOK],
		.network = (enum network)at[AXIS_NETWORK],
		.frontend = at[AXIS_FRONTEND],
		.world = world,
		.p = &world->plane[topic->plane ? topic->plane : test->plane],
	};

	if (test->rows)
		t.row = row =
			(const void *)((const char *)test->rows + at[AXIS_ROW] * test->row_size);
	if (!in_set(test->families, row->families, ONLY_IPV4 | ONLY_IPV6, at[AXIS_FAMILY]) ||
	    !in_set(test->protos, row->protos, ONLY_TCP | ONLY_UDP, at[AXIS_PROTO]) ||
	    !in_set(test->hooks, row->hooks, ON_XDP, at[AXIS_HOOK]) ||
	    !in_set(test->networks, 0, IN(AT_TX), at[AXIS_NETWORK]) ||
	    !in_set(test->frontends, 0, 1, at[AXIS_FRONTEND]) || !possible(&t))
		return false;
	t.name = name_of(&t);
	*ret_trial = t;
	return true;
}

static void trials_of(const struct topic *topic, const struct test *test, struct world *world,
		      const struct selection *selection, struct trials *trials)
{
	const uint32_t limits[AXES] = {SCENE_FRONTENDS, NETWORKS,
				       HOOKS,		N(proto_table),
				       FL_FAMILIES,	test->rows ? (uint32_t)test->n_rows : 1};
	uint32_t at[AXES] = {0}, axis = 0;

	/* counting, with a digit for each axis */
	while (axis < AXES) {
		struct trial t;

		if (trial_of(topic, test, world, at, &t)) {
			if (is_selected(selection, t.name))
				trials_add(trials, &t);
			else
				free(t.name);
		}
		for (axis = 0; axis < AXES && ++at[axis] == limits[axis]; axis++)
			at[axis] = 0;
	}
}

static void trial_run(void **state)
{
	struct trial *t = *state;

	t->to = &t->fe[t->frontend];
	trial_begin(t);
	t->test->check(t);
	trial_end(t);
}

/* After a failure too. */
static int trial_undo(void **state)
{
	struct trial *t = *state;

	if (t->test->undo)
		t->test->undo(t);
	return 0;
}

/* cmocka's part: returns the number of failures. */
static int trials_run(const struct topic *topic, struct world *world, const struct trials *trials)
{
	_cleanup_free_ struct CMUnitTest *tests = calloc(trials->n, sizeof(*tests));
	struct fl_err err;
	int failed;

	if (!tests)
		abort();
	for (size_t i = 0; i < trials->n; i++)
		tests[i] = (struct CMUnitTest){.name = trials->trial[i]->name,
					       .test_func = trial_run,
					       .teardown_func = trial_undo,
					       .initial_state = trials->trial[i]};
	if (topic->begin && topic->begin(world, &err)) {
		fprintf(stderr, "packet: %s: %s\n", topic->name, err.text);
		return -1;
	}
	failed = _cmocka_run_group_tests(topic->name, tests, trials->n, NULL, NULL);
	if (topic->end)
		topic->end(world);
	return failed;
}

int topic_run(const struct topic *topic, struct world *world, const struct selection *selection)
{
	struct trials trials = {0};
	int r = 0;

	for (size_t i = 0; i < topic->n_tests; i++)
		trials_of(topic, &topic->tests[i], world, selection, &trials);
	if (selection->list)
		for (size_t i = 0; i < trials.n; i++)
			puts(trials.trial[i]->name);
	else if (trials.n)
		r = trials_run(topic, world, &trials);
	for (size_t i = 0; i < trials.n; i++) {
		free(trials.trial[i]->name);
		free(trials.trial[i]);
	}
	free(trials.trial);
	return r;
}
