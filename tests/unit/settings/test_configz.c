/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* 6.3.1: the document of /configz is a configuration that sets the same again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "lb/base/cleanup.h"
#include "lb/base/json_write.h"
#include "lb/settings/config.h"
#include "lb/settings/configz.h"

#define BEFORE "{\"fairlead.dev\":"

static char *document_of(const struct fl_settings *settings)
{
	_cleanup_(fl_json_free) struct fl_json *json = fl_json_new(false);

	fl_json_object_begin(json);
	fl_settings_json(settings, json);
	fl_json_object_end(json);
	assert_non_null(fl_json_text(json, NULL));
	return strdup(fl_json_text(json, NULL));
}

static void test_a_configuration_comes_back(void **state)
{
	static const char text[] =
		"apiVersion: fairlead.dev/v1\nkind: FairleadConfiguration\nmanifests: [/a, /b]\n"
		"mode: tc\nhealthzBindAddress: 10.0.0.1\nsyncPeriod: 5s\nproxyMode: nftables\n"
		"bindAddressHardFail: true\nmaglev: {ratio: 7, seed: 'a \"b\"'}\n"
		"timeouts: {udp: 9s, nextHop: 250ms}\nmaps: {flowBuckets6: 1024}\n";
	_cleanup_(fl_settings_fini) struct fl_settings first, second;
	_cleanup_free_ char *one = NULL, *two = NULL;
	struct fl_err err = {""};

	assert_int_equal(fl_settings_init(&first), 0);
	assert_int_equal(fl_settings_init(&second), 0);
	assert_int_equal(fl_config_parse(text, strlen(text), "a", &first, NULL, NULL, &err), 0);
	one = document_of(&first);
	assert_non_null(strstr(one, "\"syncPeriod\":\"5s\""));
	assert_non_null(strstr(one, "\"maglev\":{\"seed\":\"a \\\"b\\\"\",\"ratio\":7,"));
	assert_non_null(strstr(one, "\"nextHop\":\"250ms\"}"));
	assert_memory_equal(one, BEFORE, strlen(BEFORE));
	if (fl_config_parse(one + strlen(BEFORE), strlen(one) - strlen(BEFORE) - 1, "b", &second,
			    NULL, NULL, &err))
		fail_msg("%s", err.text);
	two = document_of(&second);
	assert_string_equal(one, two);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_configuration_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
