/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A server from which nothing is heard: it is gone, or something on the way keeps each answer until
 * it ends.
 */
#include "tests/unit/kube/watch_fixture.h"

#include "lb/kube/watch_state.h"

#include <signal.h>

#define SHORT "timeoutSeconds=30&"
#define TOGETHER_MS 1000 /* words that come less before the end of a watch come with it */

/* Robustness C1: a connection that stands still is noticed, and nothing is listed again. */
static void test_stalls(void **state)
{
	struct scene *s = *state;
	struct fake_connection *c;

	fl_kube_watch_free(&s->watch);
	open_watch(s, 300);
	c = listed(s);
	c->asked = false; /* and never says a word again */
	c = asked(s, "resourceVersion=10");
	assert_null(strstr(c->request, STREAM));
	c->asked = false;
	/* one that does not even begin */
	until_trouble(s, "stands still");
	asked(s, "resourceVersion=10");
}

/* Until so much time has passed, which is what is asked about. */
static void spend(struct scene *s, uint64_t ms)
{
	const struct fl_mono until = fl_mono_plus_ms(fl_mono_now(), ms);

	while (fl_mono_now().ns < until.ns)
		turn(s);
}

/* Neither the head nor the text of a stream arrives before it ends; a page does. */
static struct fake_connection *listed_by_pages(struct scene *s)
{
	struct fake_connection *c;

	fl_kube_watch_free(&s->watch);
	open_watch(s, 300);
	c = asked(s, STREAM);
	assert_null(strstr(c->request, SHORT));
	until_trouble(s, "stands still");
	fake_answer(asked(s, LIST), "200 OK", "", PAGE("20", "", OBJECT("a", "3")));
	c = asked(s, SHORT);
	assert_non_null(strstr(c->request, "resourceVersion=20"));
	assert_string_equal(s->said, "begin begin =a complete ");
	s->said[0] = '\0';
	return c;
}

/* 10.8: then watches end soon, so that what happens is seen, if late; which is said. */
static void test_answers_that_arrive_when_they_end(void **state)
{
	struct scene *s = *state;
	struct fake_connection *c = listed_by_pages(s);

	fake_begin(c);
	fake_say(c, EVENT("ADDED", "b", "21") BOOKMARK("22"));
	fake_end(c);
	c = asked(s, "resourceVersion=22");
	assert_non_null(strstr(c->request, SHORT));
	assert_string_equal(s->said, "+b ");
	assert_non_null(strstr(fl_kube_watch_trouble(s->watch), "up to 30 s late"));
}

/* The head may pass at once: it is the text that counts. */
static void test_heads_that_pass_at_once(void **state)
{
	struct scene *s = *state;
	struct fake_connection *c;

	fl_kube_watch_free(&s->watch);
	open_watch(s, 1200); /* less than a second is an end at once, which is another matter */
	fake_begin(asked(s, STREAM));
	until_trouble(s, "stands still");
	fake_answer(asked(s, LIST), "200 OK", "", PAGE("20", "", OBJECT("a", "3")));
	c = asked(s, SHORT);
	fake_begin(c);
	spend(s, 50);
	assert_non_null(strstr(fl_kube_watch_trouble(s->watch), "up to 30 s late"));
	c->asked = false; /* this one is kept for longer than one waits */
	c = asked(s, SHORT);
	assert_non_null(strstr(c->request, "resourceVersion=20"));
}

/* A server that was away for a while, or a proxy that is mended: words come when they are said. */
static void test_words_that_come_before_the_end(void **state)
{
	struct scene *s = *state;
	struct fake_connection *c;

	fl_kube_watch_free(&s->watch);
	open_watch(s, 3000);
	c = asked(s, STREAM);
	until_trouble(s, "stands still");
	fake_answer(asked(s, LIST), "200 OK", "", PAGE("20", "", OBJECT("a", "3")));
	c = asked(s, SHORT);
	fake_begin(c);
	fake_say(c, BOOKMARK("22"));
	spend(s, TOGETHER_MS + 100);
	assert_non_null(fl_kube_watch_trouble(s->watch));
	fake_say(c, EVENT("ADDED", "b", "23"));
	until_well(s);
	fake_end(c);
	c = asked(s, "resourceVersion=23");
	assert_null(strstr(c->request, SHORT));
	/* and streams are tried again */
	fl_kube_watch_relist(s->watch);
	asked(s, STREAM);
}

/* The same, where the end is the second word. */
static void test_a_word_and_a_late_end(void **state)
{
	struct scene *s = *state;
	struct fake_connection *c = listed_by_pages(s);

	fl_kube_set_idle(s->watch->request, 3000);
	fake_begin(c);
	fake_say(c, BOOKMARK("22"));
	spend(s, TOGETHER_MS + 100);
	fake_end(c);
	c = asked(s, "resourceVersion=22");
	assert_null(strstr(c->request, SHORT));
	fake_begin(c);
	until_well(s);
}

/* Who refuses a connection is gone: what answers next is asked as usual. */
static void test_refusal_after_silence(void **state)
{
	struct scene *s = *state;

	listed_by_pages(s);
	server_restarts(s);
	assert_null(strstr(asked(s, "resourceVersion=20")->request, SHORT));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_stalls),
		TEST(test_answers_that_arrive_when_they_end),
		TEST(test_heads_that_pass_at_once),
		TEST(test_words_that_come_before_the_end),
		TEST(test_a_word_and_a_late_end),
		TEST(test_refusal_after_silence),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
