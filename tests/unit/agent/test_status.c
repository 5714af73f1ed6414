/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the API shows of the agent, and what the log has of conditions and changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lb/agent/apply_log.h"
#include "lb/agent/health_log.h"
#include "lb/agent/status.h"
#include "tests/unit/agent/health_fixture.h"

static void test_status_is_what_the_parts_say(void **state)
{
	struct fl_mono hands = {1};
	struct fl_health *health = health_with(&hands);
	const struct fl_host_device devices[] = {
		{.ifindex = 2,
		 .name = "eth0",
		 .role = FL_ROLE_EXTERNAL,
		 .attached = true,
		 .got = {.mode = FL_DP_XDP}},
		{.ifindex = 3, .name = "eth1", .role = FL_ROLE_EXTERNAL},
		{.ifindex = 7,
		 .name = "veth1",
		 .role = FL_ROLE_POD,
		 .attached = true,
		 .got = {.mode = FL_DP_TC}},
		{.ifindex = 8,
		 .name = "flannel.1",
		 .role = FL_ROLE_REMOTE_PODS,
		 .attached = true,
		 .got = {.mode = FL_DP_TC}},
	};
	const struct fl_status_facts facts = {
		.node = "node-1",
		.zone = "a",
		.bpffs = "/b",
		.cgroup = "/c",
		.started = {5 * FL_NSEC_PER_SEC},
		.now = {65 * FL_NSEC_PER_SEC},
		.settled = true,
		.drift = 3,
		.health = health,
		.devices = devices,
		.n_devices = 4,
		.maps = &(struct fl_map_use){"lines", "maps.lines", 7, 100},
		.n_maps = 1,
		.source_ports = 28000,
	};
	struct fl_status_lists lists = {0};
	struct fl_api_status status;

	for (int i = 0; i < 2; i++) {
		status = (struct fl_api_status){.drift = -1};
		fl_status_fill(&facts, &lists, &status);
		assert_string_equal(status.node, "node-1");
		assert_string_equal(status.zone, "a");
		assert_string_equal(status.bpffs, "/b");
		assert_string_equal(status.cgroup, "/c");
		assert_int_equal(status.uptime_s, 60);
		assert_true(status.synced);
		assert_int_equal(status.drift, 3);
		assert_ptr_equal(status.health, health);
		/* eth1 has no programs */
		assert_int_equal(status.n_devices, 3);
		assert_string_equal(status.devices[0].name, "eth0");
		assert_string_equal(status.devices[0].role, "external");
		assert_string_equal(status.devices[0].hook, "xdp");
		assert_string_equal(status.devices[1].name, "veth1");
		assert_string_equal(status.devices[1].role, "pod");
		assert_string_equal(status.devices[1].hook, "tc");
		assert_string_equal(status.devices[2].role, "remote-pods");
		assert_int_equal(status.n_maps, 1);
		assert_string_equal(status.maps[0].name, "lines");
		assert_int_equal(status.maps[0].used, 7);
		assert_int_equal(status.maps[0].size, 100);
		assert_int_equal(status.source_ports, 28000);
	}
	fl_status_lists_fini(&lists);
	fl_health_free(&health);
}

/* The log */

struct capture {
	int saved, pipe[2];
};

static struct capture capture_begin(void)
{
	struct capture c;

	assert_int_equal(pipe(c.pipe), 0);
	c.saved = dup(STDERR_FILENO);
	assert_int_equal(dup2(c.pipe[1], STDERR_FILENO), STDERR_FILENO);
	return c;
}

/* What was written meanwhile, without the times. */
static void capture_end(struct capture *c, char *text, size_t size)
{
	char raw[32768], *at = text;
	ssize_t n;

	dup2(c->saved, STDERR_FILENO);
	close(c->saved);
	close(c->pipe[1]);
	n = read(c->pipe[0], raw, sizeof(raw) - 1);
	close(c->pipe[0]);
	raw[n > 0 ? n : 0] = '\0';
	*text = '\0';
	for (char *line = raw, *end; (end = strchr(line, '\n')); line = end + 1)
		at += snprintf(at, size - (size_t)(at - text), "%.*s\n",
			       (int)(end - strchr(line, ' ') - 1), strchr(line, ' ') + 1);
}

static void test_conditions_are_logged_at_their_edges(void **state)
{
	struct fl_mono hands = {FL_NSEC_PER_SEC};
	const struct fl_clock clock = {.mono = hands_mono, .unix_s = hands_unix_s, .arg = &hands};
	struct fl_health_log log = {0};
	struct capture capture = capture_begin();
	struct fl_health *health;
	char text[4096];

	assert_int_equal(fl_health_new(&clock, fl_health_log_edge, &log, &health), 0);
	for (int i = 0; i < 2; i++) {
		fl_health_set(health, FL_CONDITION_PINS, "", FL_HEALTH_ERROR, "pins");
		fl_health_set(health, FL_CONDITION_DEVICE, "eth0", FL_HEALTH_WARNING,
			      "eth0 is down");
		fl_health_set(health, FL_CONDITION_SOURCE_PORTS, "", FL_HEALTH_NOTE, "note");
	}
	/* a gauge that moves is not news */
	for (int i = 0; i < 3; i++)
		fl_health_set(health, FL_CONDITION_MAP, "lines", FL_HEALTH_WARNING, "lines: %d %%",
			      90 + i);
	fl_health_set(health, FL_CONDITION_DEVICE, "eth0", FL_HEALTH_WARNING, "eth0 is missing");
	fl_health_set(health, FL_CONDITION_MAP, "lines", FL_HEALTH_ERROR, "lines: full");
	hands.ns += 200 * FL_NSEC_PER_SEC;
	fl_health_clear(health, FL_CONDITION_PINS, "");
	fl_health_log_turn(&log);
	capture_end(&capture, text, sizeof(text));
	assert_string_equal(text, "error pins\n"
				  "warn  eth0 is down\n"
				  "info  note\n"
				  "warn  lines: 90 %\n"
				  "warn  eth0 is missing\n"
				  "error lines: full\n"
				  "info  resolved: pins (after 3m20s)\n");
	fl_health_free(&health);
}

static void test_many_conditions_at_once_are_some_lines_and_a_number(void **state)
{
	struct fl_mono hands = {FL_NSEC_PER_SEC};
	const struct fl_clock clock = {.mono = hands_mono, .unix_s = hands_unix_s, .arg = &hands};
	struct fl_health_log log = {0};
	struct fl_health *health;
	char text[32768], *last;
	size_t lines = 0;

	assert_int_equal(fl_health_new(&clock, fl_health_log_edge, &log, &health), 0);
	for (int turn = 0; turn < 2; turn++) {
		struct capture capture = capture_begin();

		fl_health_scan_begin(health, FL_CONDITION_CONFLICT);
		for (int i = 0; i < 80 && !turn; i++) {
			char subject[16];

			snprintf(subject, sizeof(subject), "%d", i);
			fl_health_set(health, FL_CONDITION_CONFLICT, subject, FL_HEALTH_WARNING,
				      "two");
		}
		fl_health_scan_end(health, FL_CONDITION_CONFLICT);
		fl_health_log_turn(&log);
		capture_end(&capture, text, sizeof(text));
		lines = 0;
		last = text;
		for (char *at = text, *end; (end = strchr(at, '\n')); at = end + 1) {
			lines++;
			last = at;
		}
		assert_int_equal(lines, 51);
		assert_string_equal(last, turn ? "info  resolved: 30 more of kind conflict\n"
					       : "warn  30 more conditions of kind conflict\n");
	}
	fl_health_free(&health);
}

/* 1,000 changes a second are a line a second. */
static void test_what_was_applied_is_a_line_a_second(void **state)
{
	const struct fl_sync_changes nothing = {0}, one = {.services = 1,
							   .service_ports = 2,
							   .endpoints_added = 3,
							   .endpoints_removed = 1,
							   .frontends = 4};
	struct fl_mono now = {100 * FL_NSEC_PER_SEC};
	struct fl_apply_log log = {0};
	char text[FL_APPLY_LOG_STRLEN];

	fl_apply_log_add(&log, &one, 250000);
	assert_true(fl_apply_log_line(&log, now, text));
	assert_string_equal(text,
			    "applied changes of 1 Services (2 service ports): endpoints +3 -1, 4 "
			    "frontends written, 0.2 ms");
	for (int i = 0; i < 10; i++) {
		now = fl_mono_plus_ms(now, 99);
		fl_apply_log_add(&log, &one, 1000000);
		fl_apply_log_add(&log, &nothing, 1000000);
		assert_false(fl_apply_log_line(&log, now, text));
	}
	now = fl_mono_plus_ms(now, 10);
	assert_true(fl_apply_log_line(&log, now, text));
	assert_string_equal(text,
			    "applied changes of 10 Services (20 service ports): endpoints +30 -10, "
			    "40 frontends written, 10.0 ms in 10 turns");
	assert_false(fl_apply_log_line(&log, fl_mono_plus_ms(now, 9000), text));
}

static void test_durations(void **state)
{
	static const struct {
		uint64_t ms;
		const char *text;
	} rows[] = {
		{0, "0 ms"},	    {999, "999 ms"},
		{1000, "1 s"},	    {59999, "59 s"},
		{60000, "1m0s"},    {3599000, "59m59s"},
		{3600000, "1h0m"},  {86399000, "23h59m"},
		{90000000, "1d1h"}, {UINT64_MAX, "213503982334d14h"},
	};
	char buf[FL_LASTED_STRLEN];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(fl_lasted_format(rows[i].ms, buf), rows[i].text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status_is_what_the_parts_say),
		cmocka_unit_test(test_conditions_are_logged_at_their_edges),
		cmocka_unit_test(test_many_conditions_at_once_are_some_lines_and_a_number),
		cmocka_unit_test(test_what_was_applied_is_a_line_a_second),
		cmocka_unit_test(test_durations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
