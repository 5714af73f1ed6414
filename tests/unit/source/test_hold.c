/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What looks like an accident is held: files that vanish, end early, are empty, or take much. */
#include "tests/unit/source/manifest_fixture.h"

static void make_dir(const struct fixture *f, const char *name)
{
	char path[160];

	path_of(f, name, path);
	assert_int_equal(mkdir(path, 0755), 0);
}

static void make_link(const struct fixture *f, const char *target, const char *name)
{
	char path[160];

	path_of(f, name, path);
	assert_int_equal(symlink(target, path), 0);
}

static void remove_dir(const struct fixture *f, const char *name)
{
	char path[160];

	path_of(f, name, path);
	assert_int_equal(rmdir(path), 0);
}

static void open_dir(struct fixture *f, const char *name)
{
	static char path[160];
	const char *paths[] = {path};

	path_of(f, name, path);
	assert_int_equal(open_paths(f, paths, 1, NULL), 0);
	assert_int_equal(fl_source_load(f->source, NULL), 0);
}

static void apply_held(struct fixture *f)
{
	f->reported[0] = '\0';
	assert_int_equal(fl_source_apply_held(f->source, NULL), 0);
}

static void test_a_file_that_vanished_is_held(void **state)
{
	struct fixture *f = *state;

	put(f, "a.yaml", service("a", "10.96.0.1"));
	put(f, "b.yaml", service("b", "10.96.0.2"));
	load(f);
	del(f, "a.yaml");
	assert_true(handle(f));
	assert_ip(f, "a", "10.96.0.1");
	assert_reported(f,
			"warning a.yaml:0 : is gone; 1 Service that it had stay for 30 s, or until "
			"`fairlead reload --now`\n");
	list_problems(f);
	assert_reported(f, "warning a.yaml:0 : is gone");
	assert_true(fl_source_complete(f->source));
	pass(f, 29999);
	assert_ip(f, "a", "10.96.0.1");
	pass(f, 1);
	assert_ip(f, "a", "-");
	assert_ip(f, "b", "10.96.0.2");
	assert_no_problems(f);
}

static void test_a_file_that_comes_back_lets_nothing_go(void **state)
{
	struct fixture *f = *state;

	put2(f, "a.yaml", service("a", "10.96.0.1"), service("b", "10.96.0.2"));
	put(f, "c.yaml", service("c", "10.96.0.3"));
	load(f);
	del(f, "a.yaml");
	assert_true(handle(f));
	pass(f, 20000);
	/* with one Service less, which goes at once: what comes back is believed */
	put(f, "a.yaml", service("a", "10.96.0.9"));
	assert_true(handle(f));
	assert_ip(f, "a", "10.96.0.9");
	pass(f, 30000);
	assert_ip(f, "a", "10.96.0.9");
	assert_ip(f, "b", "-");
	assert_no_problems(f);
}

/* rm *; cp other/ * .: objects that are in other files now are taken over at once. */
static void test_other_files_take_over_at_once(void **state)
{
	struct fixture *f = *state;

	put(f, "a.yaml", service("a", "10.96.0.1"));
	put(f, "b.yaml", service("b", "10.96.0.2"));
	load(f);
	del(f, "a.yaml");
	del(f, "b.yaml");
	assert_true(handle(f));
	assert_ip(f, "b", "10.96.0.2");
	put2(f, "z.yaml", service("a", "10.96.0.3"), service("b", "10.96.0.2"));
	assert_true(handle(f));
	assert_ip(f, "a", "10.96.0.3");
	assert_ip(f, "b", "10.96.0.2");
	assert_no_problems(f);
	pass(f, 30000);
	assert_ip(f, "a", "10.96.0.3");
	assert_ip(f, "b", "10.96.0.2");
}

/* Before anything was held: the same in one go, and a rename. */
static void test_a_renamed_file_holds_nothing(void **state)
{
	struct fixture *f = *state;

	put(f, "a.yaml", service("a", "10.96.0.1"));
	load(f);
	move(f, "a.yaml", "b.yaml");
	assert_true(handle(f));
	assert_ip(f, "a", "10.96.0.1");
	assert_no_problems(f);
	put(f, "b.yaml", service("a", "10.96.0.2"));
	assert_true(handle(f));
	assert_ip(f, "a", "10.96.0.2");
}

static void put_services(struct fixture *f, const char *name, int n)
{
	char text[4096] = "";

	for (int i = 0; i < n; i++) {
		char which[8], ip[32];

		snprintf(which, sizeof(which), "s%d", i);
		snprintf(ip, sizeof(ip), "10.96.0.%d", i);
		strcat(text, service(which, ip));
	}
	put(f, "tmp", text);
	move(f, "tmp", name); /* whole at once, so that only what is in it counts */
}

static void test_more_than_half_at_once_is_held(void **state)
{
	struct fixture *f = *state;

	put_services(f, "a.yaml", 4);
	load(f);
	put(f, "tmp", service("s0", "10.96.0.100"));
	move(f, "tmp", "a.yaml");
	assert_true(handle(f));
	assert_ip(f, "s0", "10.96.0.100"); /* what it says of others counts */
	assert_ip(f, "s1", "10.96.0.1");
	assert_ip(f, "s3", "10.96.0.3");
	assert_reported(f,
			"warning a.yaml:0 : has lost more than half of all there was; 3 Services "
			"that it had stay for 30 s, or until `fairlead reload --now`\n");
	pass(f, 30000);
	assert_ip(f, "s1", "-");
	assert_ip(f, "s3", "-");
	assert_ip(f, "s0", "10.96.0.100");
	assert_no_problems(f);
}

static void test_half_goes_at_once_and_no_more(void **state)
{
	struct fixture *f = *state;

	put_services(f, "a.yaml", 4);
	load(f);
	put_services(f, "a.yaml", 3);
	assert_true(handle(f));
	assert_ip(f, "s3", "-");
	put_services(f, "a.yaml", 2);
	assert_true(handle(f));
	assert_ip(f, "s2", "-");
	/* step by step is not better, unless it takes its time */
	put_services(f, "a.yaml", 1);
	assert_true(handle(f));
	assert_ip(f, "s1", "10.96.0.1");
	pass(f, 30000);
	assert_ip(f, "s1", "-");
}

static const char *slice(const char *name)
{
	static char text[512];

	snprintf(text, sizeof(text),
		 "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4,\n"
		 " metadata: {name: %s, labels: {kubernetes.io/service-name: a}},\n"
		 " ports: [{port: 80}], endpoints: [{addresses: [10.1.1.1]}]}\n",
		 name);
	return text;
}

static void test_endpoints_are_held_too(void **state)
{
	struct fixture *f = *state;

	put(f, "a.yaml", service("a", "10.96.0.1"));
	put(f, "slices.yaml", slice("one"));
	load(f);
	put(f, "slices.yaml", "apiVersion: v1\nkind: List\nitems: []\n");
	assert_true(handle(f));
	assert_reported(f,
			"lost more than half of all there was; 1 EndpointSlice that it had stay");
	assert_int_equal(fl_store_count(f->store, FL_KIND_SLICE), 1);
	pass(f, 30000);
	assert_int_equal(fl_store_count(f->store, FL_KIND_SLICE), 0);
}

/* A full disk, or a redirection of a program that failed. */
static void test_an_empty_file_is_a_fault(void **state)
{
	static const char *const nothing[] = {"", "\n", "  \n\t\n"};
	struct fixture *f = *state;

	put(f, "a.yaml", service("a", "10.96.0.1"));
	load(f);
	for (size_t i = 0; i < 3; i++) {
		put(f, "a.yaml", nothing[i]);
		assert_true(handle(f));
		assert_ip(f, "a", "10.96.0.1");
		list_problems(f);
		assert_reported(
			f, "error a.yaml:0 : is empty; the last good state of this file stays\n");
		pass(f, 3600000);
		assert_ip(f, "a", "10.96.0.1");
	}
	apply_held(f);
	assert_ip(f, "a", "10.96.0.1");
	put(f, "a.yaml", service("a", "10.96.0.1"));
	assert_true(handle(f));
	assert_no_problems(f);
}

/* The state of the store, in one line. */
static void describe(const struct fixture *f, char *buf, size_t size)
{
	static const char *const names[] = {"a", "b", "c"};

	buf[0] = '\0';
	for (size_t i = 0; i < 3; i++) {
		size_t len = strlen(buf), n_slices;
		const struct fl_service *s = fl_store_service(f->store, "default", names[i]);
		const struct fl_slice *const *slices =
			fl_store_slices(f->store, "default", names[i], &n_slices);

		snprintf(buf + len, size - len, "%s %s %u ports %zu slices %zu endpoints; ",
			 names[i], ip_of(f, names[i]), s ? s->n_ports : 0, n_slices,
			 n_slices ? slices[0]->n_endpoints : 0);
	}
}

static const char several[] =
	"# what the edge serves\napiVersion: v1\nkind: Service\nmetadata:\n  name: a\nspec:\n"
	"  clusterIP: 10.96.0.11\n  ports:\n  - name: http\n    port: 80\n  - name: https\n"
	"    port: 443\n---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n"
	"  name: a-1\n  labels:\n    kubernetes.io/service-name: a\naddressType: IPv4\nports:\n"
	"- name: http\n  port: 8080\nendpoints:\n- addresses:\n  - 10.1.1.1\n- addresses:\n"
	"  - 10.1.1.12\n---\napiVersion: v1\nkind: Service\nmetadata:\n  name: b\nspec:\n"
	"  clusterIP: 10.96.0.22\n  ports:\n  - port: 80\n---\napiVersion: v1\nkind: Service\n"
	"metadata:\n  name: c\nspec:\n  clusterIP: 10.96.0.33\n  ports:\n  - port: 80\n";

/* A writer that died, or a full disk: whatever there is of a file, nothing of it is believed. */
static void test_every_prefix_of_a_file_is_held(void **state)
{
	struct fixture *f = *state;
	char before[512], now[512], prefix[sizeof(several)];
	int held = 0;

	put(f, "a.yaml", several);
	load(f);
	describe(f, before, sizeof(before));
	for (size_t n = 0; n < sizeof(several) - 2; n++) {
		snprintf(prefix, sizeof(prefix), "%.*s", (int)n, several);
		put(f, "a.yaml", prefix);
		assert_true(handle(f));
		describe(f, now, sizeof(now));
		if (strcmp(now, before))
			fail_msg("%zu bytes: %s", n, now);
		list_problems(f);
		assert_string_not_equal(f->reported, "");
		held += strstr(f->reported, "ends after line ") != NULL;
		put(f, "a.yaml", several);
		assert_true(handle(f));
		assert_no_problems(f);
	}
	assert_true(held > 100);
}

/* The beginning has changed, too: without a last line break it is not believed to be shorter. */
static void test_a_new_version_that_was_cut_is_held(void **state)
{
	struct fixture *f = *state;
	char text[sizeof(several)];

	put(f, "a.yaml", several);
	load(f);
	snprintf(text, sizeof(text), "%.*s", (int)(strstr(several, "10.96.0.22") - several) + 8,
		 several);
	memcpy(strstr(text, "10.96.0.11"), "10.96.0.99", 10);
	put(f, "a.yaml", text);
	assert_true(handle(f));
	assert_ip(f, "a", "10.96.0.11");
	assert_ip(f, "b", "10.96.0.22");
	assert_ip(f, "c", "10.96.0.33");
	assert_reported(f, "ends after line 34, where it went on before");
}

/* Somebody who deletes the end of a file means it: it is believed in the end, or when told so. */
static void test_a_shorter_file_is_believed_in_the_end(void **state)
{
	struct fixture *f = *state;
	char text[sizeof(several)];

	for (int now = 0; now < 2; now++) {
		put(f, "a.yaml", several);
		if (now)
			assert_true(handle(f));
		else
			load(f);
		assert_ip(f, "c", "10.96.0.33");
		snprintf(text, sizeof(text), "%.*s",
			 (int)(strstr(several, "---\napiVersion: v1\nkind: Service\nmetadata:\n  "
					       "name: c") -
			       several),
			 several);
		put(f, "a.yaml", text);
		assert_true(handle(f));
		assert_ip(f, "c", "10.96.0.33");
		if (now)
			apply_held(f);
		else
			pass(f, 30000);
		assert_ip(f, "b", "10.96.0.22");
		assert_ip(f, "c", "-");
		assert_no_problems(f);
	}
}

/* What comes by rename is whole, however much shorter it is. */
static void test_an_atomic_replacement_is_believed(void **state)
{
	struct fixture *f = *state;
	char text[sizeof(several)];

	put(f, "a.yaml", several);
	load(f);
	snprintf(text, sizeof(text), "%.*s",
		 (int)(strstr(several, "---\napiVersion: v1\nkind: Service\nmetadata:\n  name: c") -
		       several),
		 several);
	put(f, "tmp", text);
	move(f, "tmp", "a.yaml");
	assert_true(handle(f));
	assert_ip(f, "b", "10.96.0.22");
	assert_ip(f, "c", "-");
	assert_no_problems(f);
}

static void test_reload_now_lets_everything_go(void **state)
{
	struct fixture *f = *state;

	put(f, "a.yaml", service("a", "10.96.0.1"));
	put_services(f, "b.yaml", 4);
	load(f);
	del(f, "a.yaml");
	put_services(f, "b.yaml", 1);
	assert_true(handle(f));
	assert_ip(f, "a", "10.96.0.1");
	assert_ip(f, "s3", "10.96.0.3");
	apply_held(f);
	assert_ip(f, "a", "-");
	assert_ip(f, "s3", "-");
	assert_ip(f, "s0", "10.96.0.0");
	assert_no_problems(f);
}

/* rm -rf; cp -r */
static void test_a_directory_that_is_made_anew(void **state)
{
	struct fixture *f = *state;

	make_dir(f, "m");
	put(f, "m/a.yaml", service("a", "10.96.0.1"));
	put(f, "m/b.yaml", service("b", "10.96.0.2"));
	open_dir(f, "m");
	del(f, "m/a.yaml");
	del(f, "m/b.yaml");
	remove_dir(f, "m");
	assert_true(handle(f));
	assert_ip(f, "a", "10.96.0.1");
	assert_ip(f, "b", "10.96.0.2");
	assert_reported(f, "error m:0 : No such file or directory\n");
	make_dir(f, "m");
	assert_true(handle(f));
	put(f, "m/a.yaml", service("a", "10.96.0.3"));
	assert_true(handle(f));
	assert_ip(f, "a", "10.96.0.3");
	assert_ip(f, "b", "10.96.0.2");
	put(f, "m/b.yaml", service("b", "10.96.0.2"));
	assert_true(handle(f));
	assert_no_problems(f);
	pass(f, 60000);
	assert_ip(f, "b", "10.96.0.2");
}

/* What was deleted file by file goes after the grace time, even if the directory went as well. */
static void test_a_directory_that_was_removed(void **state)
{
	struct fixture *f = *state;

	make_dir(f, "m");
	put(f, "m/a.yaml", service("a", "10.96.0.1"));
	open_dir(f, "m");
	del(f, "m/a.yaml");
	remove_dir(f, "m");
	assert_true(handle(f));
	pass(f, 29000);
	assert_ip(f, "a", "10.96.0.1");
	pass(f, 1000);
	assert_ip(f, "a", "-");
}

/* A directory that was moved or unmounted took its files with it: nobody has deleted them. */
static void test_a_directory_out_of_sight_keeps_its_files(void **state)
{
	struct fixture *f = *state;

	make_dir(f, "m");
	put(f, "m/a.yaml", service("a", "10.96.0.1"));
	open_dir(f, "m");
	move(f, "m", "away");
	assert_true(handle(f));
	pass(f, 3600000);
	assert_ip(f, "a", "10.96.0.1");
	list_problems(f);
	assert_reported(f, "error m:0 : No such file or directory\n");
	move(f, "away", "m");
	assert_true(handle(f));
	assert_no_problems(f);
	move(f, "m", "away");
	assert_true(handle(f));
	apply_held(f);
	assert_ip(f, "a", "-");
}

/* A mounted ConfigMap: what it has no more is gone at once, unless that is nearly everything. */
static void test_a_config_map_is_believed(void **state)
{
	struct fixture *f = *state;

	make_dir(f, "..1");
	put(f, "..1/a.yaml", service("a", "10.96.0.1"));
	put(f, "..1/b.yaml", service("b", "10.96.0.2"));
	make_link(f, "..1", "..data");
	make_link(f, "..data/a.yaml", "a.yaml");
	make_link(f, "..data/b.yaml", "b.yaml");
	load(f);
	make_dir(f, "..2");
	put(f, "..2/a.yaml", service("a", "10.96.0.3"));
	make_link(f, "..2", "..data_tmp");
	move(f, "..data_tmp", "..data");
	del(f, "b.yaml");
	assert_true(handle(f));
	assert_ip(f, "a", "10.96.0.3");
	assert_ip(f, "b", "-");
	assert_no_problems(f);
	make_dir(f, "..3");
	make_link(f, "..3", "..data_tmp");
	move(f, "..data_tmp", "..data");
	del(f, "a.yaml");
	assert_true(handle(f));
	assert_ip(f, "a", "10.96.0.3");
	list_problems(f);
	assert_reported(f, "warning a.yaml:0 : is gone; 1 Service that it had stay for 30 s");
}

/* A start that finds nothing says so, and does not yet believe that there is nothing. */
static void test_a_start_without_manifests(void **state)
{
	struct fixture *f = *state;

	load(f);
	list_problems(f);
	assert_reported(f, "0 : there is no manifest in it\n");
	assert_false(fl_source_complete(f->source));
	pass(f, 29999);
	assert_false(fl_source_complete(f->source));
	pass(f, 1);
	assert_true(fl_source_complete(f->source));
	put(f, "a.yaml", service("a", "10.96.0.1"));
	assert_true(handle(f));
	assert_no_problems(f);
}

static void test_a_start_with_an_empty_file(void **state)
{
	struct fixture *f = *state;

	put(f, "a.yaml", "");
	load(f);
	list_problems(f);
	assert_reported(f, "warning a.yaml:0 : is empty\n");
	assert_false(fl_source_complete(f->source));
	pass(f, 30000);
	assert_true(fl_source_complete(f->source));
	list_problems(f);
	assert_reported(f, "warning a.yaml:0 : is empty\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_HELD(test_a_file_that_vanished_is_held),
		TEST_HELD(test_a_file_that_comes_back_lets_nothing_go),
		TEST_HELD(test_other_files_take_over_at_once),
		TEST_HELD(test_a_renamed_file_holds_nothing),
		TEST_HELD(test_more_than_half_at_once_is_held),
		TEST_HELD(test_half_goes_at_once_and_no_more),
		TEST_HELD(test_endpoints_are_held_too),
		TEST_HELD(test_an_empty_file_is_a_fault),
		TEST_HELD(test_every_prefix_of_a_file_is_held),
		TEST_HELD(test_a_new_version_that_was_cut_is_held),
		TEST_HELD(test_a_shorter_file_is_believed_in_the_end),
		TEST_HELD(test_an_atomic_replacement_is_believed),
		TEST_HELD(test_reload_now_lets_everything_go),
		TEST_HELD(test_a_directory_that_is_made_anew),
		TEST_HELD(test_a_directory_that_was_removed),
		TEST_HELD(test_a_directory_out_of_sight_keeps_its_files),
		TEST_HELD(test_a_config_map_is_believed),
		TEST_HELD(test_a_start_without_manifests),
		TEST_HELD(test_a_start_with_an_empty_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
