/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Names: every table leads from a value to its word and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <string.h>

#include "lb/model/names.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static void test_every_word_leads_back_to_its_value(void **state)
{
	static const struct fl_word *const tables[] = {
		fl_family_words,	  fl_proto_words,      fl_service_type_words,
		fl_traffic_policy_words,  fl_affinity_words,   fl_frontend_type_words,
		fl_service_verdict_words, fl_flow_state_words,
	};

	(void)state;
	for (size_t i = 0; i < N(tables); i++) {
		for (const struct fl_word *w = tables[i]; w->word; w++) {
			int value = -1;

			assert_true(fl_word_value(tables[i], w->word, &value));
			assert_int_equal(value, w->value);
			assert_string_equal(fl_word_of(tables[i], value), w->word);
		}
	}
}

static void test_what_has_no_word(void **state)
{
	int value = 7;

	(void)state;
	assert_string_equal(fl_proto_name(IPPROTO_ICMP), "?");
	assert_string_equal(fl_frontend_type_name(200), "?");
	assert_false(fl_word_value(fl_proto_words, "tcp", &value)); /* as the API has it */
	assert_int_equal(value, 7);
}

static void test_what_people_type_may_be_in_any_case(void **state)
{
	int value = 7;

	(void)state;
	assert_true(fl_word_value_typed(fl_proto_words, "sctp", &value));
	assert_int_equal(value, IPPROTO_SCTP);
	assert_false(fl_word_value_typed(fl_proto_words, "sct", &value));
	assert_false(fl_word_value_typed(fl_proto_words, "", &value));
	assert_int_equal(value, IPPROTO_SCTP);
}

static void test_a_list_of_words_reads_as_english(void **state)
{
	static const struct fl_word one[] = {{"a", 1}, {NULL, 0}};
	char buf[80];

	(void)state;
	assert_string_equal(fl_words_format(one, buf, sizeof(buf)), "a");
	assert_string_equal(fl_words_format(fl_family_words, buf, sizeof(buf)), "IPv4 or IPv6");
	assert_string_equal(fl_words_format(fl_proto_words, buf, sizeof(buf)), "TCP, UDP or SCTP");
	for (size_t size = 1; size < 20; size++)
		assert_true(strlen(fl_words_format(fl_proto_words, buf, size)) < size);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_word_leads_back_to_its_value),
		cmocka_unit_test(test_what_has_no_word),
		cmocka_unit_test(test_what_people_type_may_be_in_any_case),
		cmocka_unit_test(test_a_list_of_words_reads_as_english),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
