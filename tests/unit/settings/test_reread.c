/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Settings that are read again: what takes effect, what waits, and what a faulty file changes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lb/base/cleanup.h"
#include "lb/base/log.h"
#include "lb/settings/options.h"
#include "lb/settings/reread.h"

#define HEAD "apiVersion: fairlead.dev/v1\nkind: FairleadConfiguration\nmanifests: [/m]\n"

struct scene {
	char dir[64], file[80];
	char *argv[7];
	struct fl_settings settings;
	struct fl_reread reread;
	char *waiting;
	bool changed;
	struct fl_err err;
};

/* As an editor does it, or a mounted ConfigMap: another file in its place. */
static void write_file(struct scene *s, const char *text)
{
	char next[96];
	FILE *file;

	snprintf(next, sizeof(next), "%s.next", s->file);
	file = fopen(next, "w");
	assert_non_null(file);
	fprintf(file, HEAD "%s", text);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(rename(next, s->file), 0);
}

static int setup(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));
	char *argv[] = {"fairleadd", "--config", s->file, "--node", "n", "--socket", "/s"};

	strcpy(s->dir, "/tmp/fairlead-reread-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	snprintf(s->file, sizeof(s->file), "%s/f.yaml", s->dir);
	memcpy(s->argv, argv, sizeof(argv));
	write_file(s, "clusterCIDR: [10.0.0.0/8]\n");
	assert_int_equal(fl_settings_init(&s->settings), 0);
	assert_int_equal(fl_settings_read_args(7, s->argv, &s->settings, NULL, NULL, &s->err), 0);
	assert_int_equal(fl_reread_init(&s->reread, 7, s->argv, &s->settings), 0);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct scene *s = *state;

	unlink(s->file);
	assert_int_equal(rmdir(s->dir), 0);
	fl_reread_fini(&s->reread);
	fl_settings_fini(&s->settings);
	free(s->waiting);
	free(s);
	return 0;
}

static int reread(struct scene *s)
{
	free(s->waiting);
	s->waiting = NULL;
	return fl_reread_settings(&s->reread, &s->settings, &s->changed, &s->waiting, &s->err);
}

static void test_what_is_followed(void **state)
{
	struct scene *s = *state;

	assert_int_equal(reread(s), 0);
	assert_false(s->changed);
	assert_string_equal(s->waiting, "");
	write_file(s, "clusterCIDR: [10.0.0.0/8, 'fd00::/8']\nnodePortRange: 1000-2000\n"
		      "logLevel: debug\nmasqueradeAddresses: [192.0.2.1, 192.0.2.2]\n");
	assert_int_equal(reread(s), 0);
	assert_int_equal(s->settings.masquerade_addresses.n, 2);
	assert_true(s->changed);
	assert_string_equal(s->waiting, "");
	assert_int_equal(s->settings.cluster_cidr.n, 2);
	assert_string_equal(s->settings.cluster_cidr.items[1], "fd00::/8");
	assert_string_equal(s->settings.node_port_range, "1000-2000");
	assert_int_equal(s->settings.log_level, FL_LOG_DEBUG);
	/* what is not said any more has its default again */
	write_file(s, "");
	assert_int_equal(reread(s), 0);
	assert_true(s->changed);
	assert_int_equal(s->settings.cluster_cidr.n, 0);
	assert_string_equal(s->settings.node_port_range, "30000-32767");
}

/* Of each type one. The command line beats the file then, too. */
static void test_what_waits(void **state)
{
	struct scene *s = *state;

	write_file(s, "clusterCIDR: [10.0.0.0/8]\nmasqueradeAll: true\ndetectLocalMode: NodeCIDR\n"
		      "podDevices: [v*]\nmaglev: {ratio: 7}\ntimeouts: {udp: 9s, nextHop: 9ms}\n"
		      "mode: tc\nsocket: /other\n");
	assert_int_equal(reread(s), 0);
	assert_false(s->changed);
	assert_string_equal(s->waiting, "mode, podDevices, detectLocalMode, masqueradeAll, "
					"maglev.ratio, timeouts.udp, timeouts.nextHop");
	assert_false(s->settings.masquerade_all);
	assert_null(s->settings.detect_mode);
	assert_string_equal(s->settings.socket, "/s");
}

static void test_faulty_file_changes_nothing(void **state)
{
	struct scene *s = *state;

	write_file(s, "clusterCIDR: [11.0.0.0/8]\nnodePortRange: nonsense\n");
	assert_int_equal(reread(s), -EBADMSG);
	assert_non_null(strstr(s->err.text, "nodePortRange"));
	assert_string_equal(s->settings.cluster_cidr.items[0], "10.0.0.0/8");
	assert_null(s->waiting);
}

static void test_when_it_is_due(void **state)
{
	struct scene *s = *state;

	assert_false(fl_reread_is_due(&s->reread, &s->settings));
	write_file(s, "clusterCIDR: [11.0.0.0/8]\n"); /* as long as it was */
	assert_true(fl_reread_is_due(&s->reread, &s->settings));
	assert_false(fl_reread_is_due(&s->reread, &s->settings));
	assert_int_equal(unlink(s->file), 0);
	assert_true(fl_reread_is_due(&s->reread, &s->settings));
	assert_false(fl_reread_is_due(&s->reread, &s->settings));
	write_file(s, "");
	assert_true(fl_reread_is_due(&s->reread, &s->settings));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_is_followed),
		TEST(test_what_waits),
		TEST(test_faulty_file_changes_nothing),
		TEST(test_when_it_is_due),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
