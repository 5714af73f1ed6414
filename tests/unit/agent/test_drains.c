/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Backends drained by command: what a command changes, what is kept of it, what is told. */
#include "tests/unit/model/fixture.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lb/agent/drains.h"
#include "lb/base/read_file.h"
#include "lb/model/plan_store.h"
#include "tests/unit/agent/health_fixture.h"

struct scene {
	char dir[64], file[80];
	struct fl_mono hands;
	struct fl_health *health;
	struct fl_store *store;
	struct fl_plan_options options;
	struct fl_agent_drains drains;
	struct fl_api_drain_result result;
	struct fl_err err;
};

static void open_drains(struct scene *s)
{
	fl_agent_drains_close(&s->drains);
	assert_int_equal(fl_agent_drains_open(&s->drains, s->dir, "node-1", s->store, s->health),
			 0);
	s->options = fl_plan_options_of(s->store);
	s->options.drains = &s->drains.set;
}

static void put_service(struct scene *s, const char *name)
{
	struct fl_service *service = service_named("default", name, "10.96.0.10");
	struct fl_object object = {.kind = FL_KIND_SERVICE, .service = service};

	add_port(service, "http", IPPROTO_TCP, 80, 0);
	assert_int_equal(fl_store_put(s->store, &object), 0);
}

static void put_slice(struct scene *s, const char *service, const char *specs)
{
	struct fl_slice *slice = slice_named(service, service, FL_IPV4);
	struct fl_object object = {.kind = FL_KIND_SLICE, .slice = slice};

	add_slice_port(slice, "http", IPPROTO_TCP, 8080);
	add_endpoints(slice, specs, "node-1");
	assert_int_equal(fl_store_put(s->store, &object), 0);
}

static void forget_marks(struct scene *s)
{
	struct fl_service_key key;

	while (fl_store_take_dirty(s->store, &key))
		;
}

static int setup(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));

	strcpy(s->dir, "/tmp/fairlead-drains-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	snprintf(s->file, sizeof(s->file), "%s/drains", s->dir);
	s->hands.ns = 1;
	s->health = health_with(&s->hands);
	assert_int_equal(fl_store_new("node-1", &s->store), 0);
	put_service(s, "web");
	put_service(s, "api");
	put_slice(s, "web", "10.1.1.1 rs-; 10.1.1.2 rs-; 10.1.1.3 rs- W=0");
	put_slice(s, "api", "10.1.1.4 rs-");
	forget_marks(s);
	open_drains(s);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct scene *s = *state;
	char path[96];

	fl_api_drain_result_fini(&s->result);
	fl_agent_drains_close(&s->drains);
	fl_store_free(&s->store);
	fl_health_free(&s->health);
	unlink(s->file);
	snprintf(path, sizeof(path), "%s.new", s->file);
	rmdir(path);
	rmdir(s->dir);
	free(s);
	return 0;
}

/* "10.1.1.1 10.1.1.2"; "all" */
static int change(struct scene *s, bool undrain, const char *addresses)
{
	struct fl_api_drain_request request = {.undrain = undrain,
					       .all = !strcmp(addresses, "all")};
	_cleanup_free_ char *copy = strdup(addresses);
	char *rest = copy, *word;

	while (!request.all && (word = strsep(&rest, " ")))
		assert_int_equal(fl_drain_parse(word, &request.drains[request.n++], NULL), 0);
	fl_api_drain_result_fini(&s->result);
	s->err.text[0] = '\0';
	return fl_agent_drains_change(&s->drains, &request, &s->options, &s->result, &s->err);
}

static int drain(struct scene *s, const char *addresses)
{
	return change(s, false, addresses);
}

static int undrain(struct scene *s, const char *addresses)
{
	return change(s, true, addresses);
}

static bool is_drained(const struct scene *s, const char *address)
{
	struct fl_drain value;

	assert_int_equal(fl_drain_parse(address, &value, NULL), 0);
	return fl_drains_find(&s->drains.set, &value.ip, value.port, value.proto);
}

static const char *of_file(const struct scene *s)
{
	return condition_text(s->health, FL_CONDITION_DRAINS, "file");
}

/* Only the Services that have one are planned again. */
static void test_a_drain_marks_its_services(void **state)
{
	struct scene *s = *state;
	struct fl_service_key key;

	assert_int_equal(drain(s, "10.1.1.1"), 0);
	assert_true(s->result.items[0].changed);
	assert_int_equal(s->result.items[0].n_endpoints, 1);
	assert_true(s->result.kept);
	assert_int_equal(s->result.emptied.n, 0);
	assert_true(fl_store_take_dirty(s->store, &key));
	assert_string_equal(key.name, "web");
	assert_false(fl_store_take_dirty(s->store, &key));
	assert_true(is_drained(s, "10.1.1.1:8080/TCP"));
	/* again: no change, no work */
	assert_int_equal(drain(s, "10.1.1.1"), 0);
	assert_false(s->result.items[0].changed);
	assert_false(fl_store_take_dirty(s->store, &key));
	assert_int_equal(undrain(s, "10.1.1.1"), 0);
	assert_true(s->result.items[0].changed);
	assert_true(fl_store_take_dirty(s->store, &key));
	assert_int_equal(undrain(s, "10.1.1.1"), 0);
	assert_false(s->result.items[0].changed);
}

static void test_what_may_surprise_is_told(void **state)
{
	struct scene *s = *state;

	/* the last one of a Service; one that is nowhere */
	assert_int_equal(drain(s, "10.1.1.4:8080 10.1.9.9"), 0);
	assert_int_equal(s->result.emptied.n, 1);
	assert_string_equal(s->result.emptied.items[0], "default/api:http");
	assert_int_equal(s->result.items[1].n_endpoints, 0);
	/* weight 0 keeps it drained */
	assert_int_equal(undrain(s, "10.1.1.3"), 0);
	assert_int_equal(s->result.items[0].n_weightless, 1);
	/* not emptied by us: another Service */
	assert_int_equal(drain(s, "10.1.1.1"), 0);
	assert_int_equal(s->result.emptied.n, 0);
	assert_int_equal(drain(s, "10.1.1.2"), 0);
	assert_int_equal(s->result.emptied.n, 1);
	assert_string_equal(s->result.emptied.items[0], "default/web:http");
}

/* All or nothing. */
static void test_a_part_cannot_be_undrained(void **state)
{
	struct scene *s = *state;

	assert_int_equal(drain(s, "10.1.1.1 10.1.1.2"), 0);
	forget_marks(s);
	assert_int_equal(undrain(s, "10.1.1.2 10.1.1.1:8080"), -EEXIST);
	assert_string_equal(s->err.text,
			    "10.1.1.1:8080 is drained with all of 10.1.1.1: undrain 10.1.1.1");
	assert_true(is_drained(s, "10.1.1.2"));
	assert_int_equal(fl_store_dirty_count(s->store), 0);
	assert_int_equal(undrain(s, "all"), 0);
	assert_int_equal(s->result.n, 2);
	assert_int_equal(s->drains.set.n, 0);
	assert_int_equal(undrain(s, "all"), 0);
	assert_int_equal(s->result.n, 0);
}

static void test_kept_over_a_restart(void **state)
{
	struct scene *s = *state;
	struct stat st;
	int64_t since;

	assert_int_equal(drain(s, "10.1.1.1 10.1.1.2:8080/TCP fd00::1"), 0);
	since = s->drains.set.v[0].since_unix_s;
	assert_int_equal(stat(s->file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	open_drains(s);
	assert_int_equal(s->drains.set.n, 3);
	assert_true(is_drained(s, "10.1.1.1"));
	assert_true(is_drained(s, "10.1.1.2:8080/TCP"));
	assert_false(is_drained(s, "10.1.1.2:8080"));
	assert_true(is_drained(s, "[fd00::1]:80"));
	assert_true(since > 0);
	assert_int_equal(s->drains.set.v[0].since_unix_s, since);
	assert_int_equal(undrain(s, "all"), 0);
	open_drains(s);
	assert_int_equal(s->drains.set.n, 0);
	assert_null(of_file(s));
}

static void write_text(const char *path, const char *text, size_t len)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

/* Each byte, and each length: nothing of a damaged file is believed, and it is said. */
static void test_damage_is_seen_and_stops_nothing(void **state)
{
	struct scene *s = *state;
	_cleanup_free_ char *text = NULL, *damaged = NULL;
	size_t len;

	assert_int_equal(drain(s, "10.1.1.1 10.1.1.2:8080"), 0);
	assert_int_equal(fl_read_file(s->file, 1 << 20, &text, &len, NULL, NULL), 0);
	damaged = malloc(len);
	for (size_t i = 0; i < 2 * len; i++) {
		memcpy(damaged, text, len);
		if (i < len)
			damaged[i] ^= 0x11;
		write_text(s->file, damaged, i < len ? len : i - len);
		open_drains(s);
		if (s->drains.set.n || !of_file(s))
			fail_msg("byte %zu of %zu: %zu are drained", i, len, s->drains.set.n);
		assert_non_null(strstr(of_file(s), s->file));
		fl_health_clear(s->health, FL_CONDITION_DRAINS, "file");
	}
	open_drains(s);
	/* it stands over a review, until somebody says what is to be drained */
	fl_agent_drains_review(&s->drains);
	assert_non_null(of_file(s));
	assert_int_equal(undrain(s, "all"), 0);
	assert_null(of_file(s));
	open_drains(s);
	assert_null(of_file(s));
}

/* A disk that is carried to another node. */
static void test_those_of_another_node_are_not_ours(void **state)
{
	struct scene *s = *state;

	assert_int_equal(drain(s, "10.1.1.1"), 0);
	fl_agent_drains_close(&s->drains);
	assert_int_equal(fl_agent_drains_open(&s->drains, s->dir, "node-2", s->store, s->health),
			 0);
	assert_int_equal(s->drains.set.n, 0);
	assert_non_null(strstr(of_file(s), "is of node node-1"));
}

/* A drain is in force even so: the backend may be burning. */
static void test_what_cannot_be_written_is_told_and_tried_again(void **state)
{
	struct scene *s = *state;
	char beside[96];

	snprintf(beside, sizeof(beside), "%s.new", s->file);
	assert_int_equal(mkdir(beside, 0700), 0);
	assert_int_equal(drain(s, "10.1.1.1"), 0);
	assert_true(is_drained(s, "10.1.1.1"));
	assert_false(s->result.kept);
	assert_non_null(strstr(s->result.why.text, beside));
	assert_non_null(strstr(of_file(s), "a restart will forget"));
	fl_agent_drains_review(&s->drains);
	assert_non_null(of_file(s));
	assert_int_equal(rmdir(beside), 0);
	fl_agent_drains_review(&s->drains);
	assert_null(of_file(s));
	open_drains(s);
	assert_true(is_drained(s, "10.1.1.1"));
}

static void test_without_a_directory_it_is_said(void **state)
{
	struct scene *s = *state;

	fl_agent_drains_close(&s->drains);
	assert_int_equal(fl_agent_drains_open(&s->drains, NULL, "node-1", s->store, s->health), 0);
	assert_null(of_file(s));
	assert_int_equal(drain(s, "10.1.1.1"), 0);
	assert_false(s->result.kept);
	assert_non_null(strstr(of_file(s), "there is no stateDir"));
	fl_agent_drains_review(&s->drains);
	assert_non_null(of_file(s));
	assert_int_equal(undrain(s, "10.1.1.1"), 0);
	assert_true(s->result.kept);
	assert_null(of_file(s));
}

/* Pods' addresses come back as other pods'. */
static void test_an_unknown_address_is_kept_and_noted(void **state)
{
	struct scene *s = *state;

	assert_int_equal(drain(s, "10.1.1.1 10.1.9.9:80"), 0);
	fl_agent_drains_review(&s->drains);
	assert_null(condition_text(s->health, FL_CONDITION_DRAINS, "10.1.1.1"));
	assert_non_null(condition_text(s->health, FL_CONDITION_DRAINS, "10.1.9.9:80"));
	assert_true(fl_health_is_good(s->health));
	put_slice(s, "web", "10.1.1.2 rs-");
	fl_agent_drains_review(&s->drains);
	assert_non_null(condition_text(s->health, FL_CONDITION_DRAINS, "10.1.1.1"));
	assert_int_equal(undrain(s, "10.1.9.9:80"), 0);
	put_slice(s, "web", "10.1.1.1 rs-");
	fl_agent_drains_review(&s->drains);
	assert_false(fl_health_has(s->health, FL_CONDITION_DRAINS));
	assert_true(is_drained(s, "10.1.1.1"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_drain_marks_its_services),
		TEST(test_what_may_surprise_is_told),
		TEST(test_a_part_cannot_be_undrained),
		TEST(test_kept_over_a_restart),
		TEST(test_damage_is_seen_and_stops_nothing),
		TEST(test_those_of_another_node_are_not_ours),
		TEST(test_what_cannot_be_written_is_told_and_tried_again),
		TEST(test_without_a_directory_it_is_said),
		TEST(test_an_unknown_address_is_kept_and_noted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
