/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The manifest source: first reading, changes, last good state. */
#include "tests/unit/source/manifest_fixture.h"

static void test_manifest_first_reading(void **state)
{
	struct fixture *f = *state;

	put(f, "a.yaml", service("a", "10.96.0.1"));
	put(f, "b.yml", service("b", "10.96.0.2"));
	put(f, "c.json",
	    "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"c\"},"
	    "\"spec\":{\"clusterIP\":\"10.96.0.3\"}}");
	put(f, "readme.txt", "not: [yaml");
	put(f, ".hidden.yaml", "not: [yaml");
	open_source(f);
	assert_false(fl_source_synced(f->source));
	assert_int_equal(fl_store_count(f->store, FL_KIND_SERVICE), 0);
	assert_int_equal(fl_source_load(f->source, NULL), 0);
	assert_true(fl_source_synced(f->source));
	assert_true(fl_source_complete(f->source));
	assert_int_equal(fl_store_count(f->store, FL_KIND_SERVICE), 3);
	assert_ip(f, "c", "10.96.0.3");
	assert_string_equal(f->reported, "");
	assert_false(handle(f));
}

static void test_manifest_missing_path_fails(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = {"/nowhere", "/nowhere.yaml", "/nowhere/deep.yaml"};

	for (int i = 0; i < 3; i++) {
		char path[160];
		const char *paths[] = {path};
		struct fl_err err = {""};

		path_of(f, names[i], path);
		assert_int_equal(open_paths(f, paths, 1, &err), 0);
		assert_int_equal(fl_source_load(f->source, &err), -ENOENT);
		assert_non_null(strstr(err.text, "nowhere"));
		assert_false(fl_source_synced(f->source));
		fl_source_free(&f->source);
	}
	assert_int_equal(open_paths(f, NULL, 0, NULL), -EINVAL);
}

/* A change touches what changed and marks nothing else (rules 1.16, 4.12). */
static void test_manifest_follows_changes(void **state)
{
	struct fixture *f = *state;
	struct fl_service_key key;

	put2(f, "a.yaml", service("a", "10.96.0.1"), service("b", "10.96.0.2"));
	load(f);
	while (fl_store_take_dirty(f->store, &key))
		continue;

	put2(f, "a.yaml", service("a", "10.96.0.1"), service("b", "10.96.0.9"));
	assert_true(handle(f));
	assert_ip(f, "b", "10.96.0.9");
	assert_true(fl_store_take_dirty(f->store, &key));
	assert_string_equal(key.name, "b");
	assert_false(fl_store_take_dirty(f->store, &key));

	put(f, "new.yaml", service("c", "10.96.0.3"));
	put(f, "a.yaml", service("a", "10.96.0.1"));
	assert_true(handle(f));
	assert_ip(f, "b", "-");
	assert_ip(f, "c", "10.96.0.3");

	del(f, "new.yaml");
	assert_true(handle(f));
	assert_ip(f, "c", "-");

	/* as editors and `kubectl ... > tmp && mv` do it */
	put(f, "tmp", service("a", "10.96.0.7"));
	assert_true(handle(f));
	assert_ip(f, "a", "10.96.0.1");
	move(f, "tmp", "a.yaml");
	assert_true(handle(f));
	assert_ip(f, "a", "10.96.0.7");

	move(f, "a.yaml", "a.yaml.bak");
	assert_true(handle(f));
	assert_ip(f, "a", "-");
	assert_reported(f, "there is no manifest in it\n");
}

static void test_manifest_renamed_file_changes_nothing(void **state)
{
	struct fixture *f = *state;

	put(f, "a.yaml", service("a", "10.96.0.1"));
	load(f);
	move(f, "a.yaml", "b.yaml");
	assert_true(handle(f));
	assert_ip(f, "a", "10.96.0.1");
	list_problems(f);
	assert_string_equal(f->reported, "");
}

/* A file with a syntax error keeps its last good contribution as a whole. */
static void test_manifest_syntax_error_keeps_file(void **state)
{
	struct fixture *f = *state;

	put2(f, "a.yaml", service("a", "10.96.0.1"), service("b", "10.96.0.2"));
	put(f, "z.yaml", service("z", "10.96.0.5"));
	load(f);
	put2(f, "a.yaml", service("a", "10.96.0.9"), "kind: [\n");
	put(f, "z.yaml", service("z", "10.96.0.6"));
	assert_true(handle(f));
	assert_ip(f, "a", "10.96.0.1");
	assert_ip(f, "b", "10.96.0.2");
	assert_ip(f, "z", "10.96.0.6");
	assert_reported(f, "error a.yaml:7 : ");
	assert_reported(f, "; the last good state of this file stays\n");
	list_problems(f);
	assert_reported(f, "error a.yaml:7 : ");

	put(f, "a.yaml", service("a", "10.96.0.9"));
	assert_true(handle(f));
	assert_ip(f, "a", "10.96.0.9");
	assert_ip(f, "b", "-");
	list_problems(f);
	assert_string_equal(f->reported, "");
}

/* An object with an error keeps its own last good state, the others of its file are applied. */
static void test_manifest_faulty_object_keeps_itself(void **state)
{
	struct fixture *f = *state;

	put2(f, "a.yaml", service("a", "10.96.0.1"), service("b", "10.96.0.2"));
	load(f);
	put2(f, "a.yaml", service("a", "10.96.0.999"), service("b", "10.96.0.3"));
	assert_true(handle(f));
	assert_ip(f, "a", "10.96.0.1");
	assert_ip(f, "b", "10.96.0.3");
	assert_reported(
		f, "error a.yaml:4 Service default/a: spec.clusterIP: \"10.96.0.999\" is no IP");
	assert_true(fl_source_complete(f->source));

	put(f, "a.yaml", service("b", "10.96.0.3"));
	assert_true(handle(f));
	assert_ip(f, "a", "-");
}

static void test_manifest_faulty_object_without_a_past(void **state)
{
	struct fixture *f = *state;

	put2(f, "a.yaml", service("a", "127.0.0.1"), service("b", "10.96.0.2"));
	load(f);
	assert_reported(
		f, "error a.yaml:4 Service default/a: spec.clusterIP: 127.0.0.1 is a loopback");
	assert_int_equal(fl_store_count(f->store, FL_KIND_SERVICE), 1);
}

/* A document that does not say what it is may be any object of its file: all of them stay. */
static void test_manifest_unidentified_object_keeps_all(void **state)
{
	static const char *const bad[] = {
		"x\n",
		"{apiVersion: v1, metadata: {name: a}}\n",
		"{kind: Service, metadata: {name: a}}\n",
		"{apiVersion: v1, kind: Service}\n",
		"{apiVersion: v1, kind: Service, metadata: }\n",
		"{apiVersion: v1, kind: Service, metadata: {namespace: x}}\n",
		"{apiVersion: v1, kind: Service, metadata: {name: a, namespace: '!'}}\n",
		"{apiVersion: v1, kind: List, items: [x]}\n",
		"{apiVersion: v1, kind: List, items: x}\n",
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put2(f, "a.yaml", service("a", "10.96.0.1"), service("b", "10.96.0.2"));
		if (i)
			assert_true(handle(f));
		else
			load(f);
		put2(f, "a.yaml", service("b", "10.96.0.3"), bad[i]);
		assert_true(handle(f));
		assert_ip(f, "a", "10.96.0.1");
		assert_ip(f, "b", "10.96.0.3");
		assert_reported(f, "; what this file held before stays\n");
		put(f, "a.yaml", service("b", "10.96.0.3"));
		assert_true(handle(f));
		assert_ip(f, "a", "-");
	}
}

/* The version of a kind is wrong: the object is known by name and stays. */
static void test_manifest_wrong_version_keeps_object(void **state)
{
	struct fixture *f = *state;

	put2(f, "a.yaml", service("a", "10.96.0.1"), service("b", "10.96.0.2"));
	load(f);
	put(f, "a.yaml", "{apiVersion: v2, kind: Service, metadata: {name: a}}\n");
	assert_true(handle(f));
	assert_ip(f, "a", "10.96.0.1");
	assert_ip(f, "b", "-");
}

#define DEPLOYMENT "\n---\n{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}}\n"

/* A kind that is misspelt is a kind of others, but takes nothing away; those of others that were
 * there before hold nothing up. */
static void test_manifest_misspelt_kind_keeps_object(void **state)
{
	struct fixture *f = *state;

	put2(f, "a.yaml", service("a", "10.96.0.1"), DEPLOYMENT);
	put2(f, "b.yaml", service("b", "10.96.0.2"), service("c", "10.96.0.3"));
	load(f);
	assert_true(fl_source_complete(f->source));
	put(f, "a.yaml", DEPLOYMENT);
	assert_true(handle(f));
	assert_ip(f, "a", "-");

	for (int again = 0; again < 2; again++) {
		put(f, "b.yaml", "{apiVersion: v1, kind: Serv, metadata: {name: b}}\n");
		assert_true(handle(f));
		assert_ip(f, "b", "10.96.0.2");
		assert_ip(f, "c", "-");
		list_problems(f);
		assert_reported(
			f, "error b.yaml:1 Serv default/b: kind: unknown kind \"Serv\" (v1) "
			   "(did you mean Service?), skipped; what this file held before stays\n");
	}
	put(f, "b.yaml", service("c", "10.96.0.3"));
	assert_true(handle(f));
	assert_ip(f, "b", "-");
}

/* What a file holds that could not be read at all may be served already; a faulty object keeps
 * nothing else from settling. */
static void test_manifest_what_is_incomplete(void **state)
{
	struct fixture *f = *state;

	put2(f, "a.yaml", service("a", "10.96.0.999"), DEPLOYMENT);
	put(f, "b.yaml", "kind: [");
	load(f);
	assert_false(fl_source_complete(f->source));
	put(f, "b.yaml", service("b", "10.96.0.2"));
	assert_true(handle(f));
	assert_true(fl_source_complete(f->source));
}

/* What is no regular file is refused and never waited for. */
static void test_manifest_refuses_odd_files(void **state)
{
	struct fixture *f = *state;
	char path[160];

	path_of(f, "fifo.yaml", path);
	assert_int_equal(mkfifo(path, 0644), 0);
	path_of(f, "dir.yaml", path);
	assert_int_equal(mkdir(path, 0755), 0);
	path_of(f, "huge.yaml", path);
	put(f, "huge.yaml", "");
	assert_int_equal(truncate(path, (off_t)FL_DOC_MAX_BYTES + 1), 0);
	path_of(f, "dangling.yaml", path);
	assert_int_equal(symlink("nowhere", path), 0);
	put(f, "a.yaml", service("a", "10.96.0.1"));
	load(f);
	assert_reported(f, "error fifo.yaml:0 : cannot be read: not a regular file\n");
	assert_reported(f, "error dir.yaml:0 : cannot be read: not a regular file\n");
	assert_reported(
		f, "error huge.yaml:0 : cannot be read: larger than the limit of 67108864 bytes\n");
	assert_reported(f, "error dangling.yaml:0 : cannot be read: No such file or directory\n");
	assert_ip(f, "a", "10.96.0.1");
	assert_false(fl_source_complete(f->source));
	/* once is enough */
	f->reported[0] = '\0';
	assert_int_equal(fl_source_refresh(f->source, NULL), 0);
	assert_string_equal(f->reported, "");
	list_problems(f);
	assert_reported(f, "fifo.yaml");
}

/* A mounted ConfigMap: every file goes through one symlink, which is switched. */
static void test_manifest_config_map_layout(void **state)
{
	struct fixture *f = *state;
	char path[160];

	path_of(f, "..1", path);
	assert_int_equal(mkdir(path, 0755), 0);
	put(f, "..1/a.yaml", service("a", "10.96.0.1"));
	put(f, "..1/b.yaml", service("b", "10.96.0.2"));
	path_of(f, "..data", path);
	assert_int_equal(symlink("..1", path), 0);
	path_of(f, "a.yaml", path);
	assert_int_equal(symlink("..data/a.yaml", path), 0);
	path_of(f, "b.yaml", path);
	assert_int_equal(symlink("..data/b.yaml", path), 0);
	load(f);
	assert_ip(f, "b", "10.96.0.2");

	path_of(f, "..2", path);
	assert_int_equal(mkdir(path, 0755), 0);
	put(f, "..2/a.yaml", service("a", "10.96.0.3"));
	path_of(f, "..data_tmp", path);
	assert_int_equal(symlink("..2", path), 0);
	move(f, "..data_tmp", "..data");
	del(f, "b.yaml");
	assert_true(handle(f));
	assert_ip(f, "a", "10.96.0.3");
	assert_ip(f, "b", "-");

	path_of(f, "c.yaml", path);
	put(f, "..2/c.yaml", service("c", "10.96.0.4"));
	assert_int_equal(symlink("..data/c.yaml", path), 0);
	assert_true(handle(f));
	assert_ip(f, "c", "10.96.0.4");
}

/* A hard link is complete when it appears; an ordinary new file only when it is closed. */
static void test_manifest_creation(void **state)
{
	struct fixture *f = *state;
	char from[160], to[160];
	FILE *file;

	load(f);
	put(f, "tmp", service("a", "10.96.0.1"));
	path_of(f, "tmp", from);
	path_of(f, "a.yaml", to);
	assert_int_equal(link(from, to), 0);
	assert_true(handle(f));
	assert_ip(f, "a", "10.96.0.1");

	path_of(f, "b.yaml", to);
	file = fopen(to, "we");
	assert_non_null(file);
	fputs("kind: [", file);
	fflush(file);
	assert_true(handle(f));
	assert_string_equal(f->reported, "");
	fputs("\n", file);
	fclose(file);
	assert_true(handle(f));
	assert_reported(f, "error b.yaml");
}

/* A directory that goes away as a whole is no order to remove everything. */
static void test_manifest_directory_lost_and_found(void **state)
{
	struct fixture *f = *state;
	char dir[160], away[160];
	const char *paths[] = {dir};

	path_of(f, "m", dir);
	path_of(f, "away", away);
	assert_int_equal(mkdir(dir, 0755), 0);
	put(f, "m/a.yaml", service("a", "10.96.0.1"));
	assert_int_equal(open_paths(f, paths, 1, NULL), 0);
	assert_int_equal(fl_source_load(f->source, NULL), 0);
	assert_int_equal(rename(dir, away), 0);
	assert_true(handle(f));
	assert_ip(f, "a", "10.96.0.1");
	assert_reported(f, "error m:0 : ");
	assert_int_equal(fl_source_refresh(f->source, NULL), 0);
	assert_ip(f, "a", "10.96.0.1");

	assert_int_equal(mkdir(dir, 0755), 0);
	put(f, "m/a.yaml", service("a", "10.96.0.2"));
	assert_true(handle(f));
	assert_ip(f, "a", "10.96.0.2");
	put(f, "m/b.yaml", service("b", "10.96.0.3"));
	assert_true(handle(f));
	assert_ip(f, "b", "10.96.0.3");
	list_problems(f);
	assert_string_equal(f->reported, "");
}

static void test_manifest_many_problems_are_counted(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *text = calloc(1, 200 * 64);
	size_t len = 0;

	for (int i = 0; i < 150; i++)
		len += (size_t)snprintf(text + len, 200 * 64 - len,
					"kind: Node\napiVersion: v%d\n---\n", i);
	put(f, "a.yaml", text);
	load(f);
	assert_reported(f, "error a.yaml:2 Node: apiVersion: \"v0\" is not supported, use v1");
	assert_reported(f, "warning a.yaml:0 : 50 more problems in this file");
}

/* Objects of other kinds, and files that hold none of ours at all, are nobody's problem. */
static void test_manifest_other_objects_are_ignored(void **state)
{
	struct fixture *f = *state;

	put(f, "kustomization.yaml", "resources:\n- web.yaml\n");
	put(f, "patch.yaml", "- op: remove\n  path: /spec\n");
	put(f, "slice.yaml",
	    "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4,\n"
	    " metadata: {name: of-nobody}, endpoints: []}\n");
	put2(f, "web.yaml", service("a", "10.96.0.1"), DEPLOYMENT);
	load(f);
	assert_ip(f, "a", "10.96.0.1");
	assert_true(fl_source_complete(f->source));
	assert_reported(f, "note kustomization.yaml:1 : not a Kubernetes object, skipped\n");
	assert_reported(f, "note web.yaml:8 Deployment default/a: kind \"Deployment\" (apps/v1)");
	list_problems(f);
	assert_string_equal(f->reported, "note slice.yaml:2 EndpointSlice default/of-nobody: slice "
					 "without label kubernetes.io/service-name, skipped\n");
}

/* A hundred other objects do not hide what is wrong with one of ours. */
static void test_manifest_other_objects_hide_nothing(void **state)
{
	struct fixture *f = *state;
	char text[16384] = "";

	for (int i = 0; i < 150; i++)
		strcat(text, "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n---\n");
	put2(f, "a.yaml", text, service("a", "127.0.0.1"));
	load(f);
	list_problems(f);
	assert_reported(f, "error a.yaml:304 Service default/a: spec.clusterIP: 127.0.0.1 is a");
}

/* A document that contradicts itself leaves the others of its file alone. */
static void test_manifest_document_at_fault(void **state)
{
	struct fixture *f = *state;

	put2(f, "a.yaml", "kind: ConfigMap\nkind: ConfigMap\n---\n", service("a", "10.96.0.1"));
	load(f);
	assert_ip(f, "a", "10.96.0.1");
	assert_reported(f, "error a.yaml:2 : key \"kind\" occurs twice\n");
}

/* "-" is standard input, as in `helm template | fairlead plan -f -`. */
static void test_manifest_standard_input(void **state)
{
	struct fixture *f = *state;
	const char *paths[] = {"-"};
	const char *text = service("a", "10.96.0.1");
	int fds[2], saved = dup(STDIN_FILENO);

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], text, strlen(text)), strlen(text));
	close(fds[1]);
	assert_true(dup2(fds[0], STDIN_FILENO) >= 0);
	close(fds[0]);
	assert_int_equal(open_paths(f, paths, 1, NULL), 0);
	assert_int_equal(fl_source_load(f->source, NULL), 0);
	if (saved >= 0)
		dup2(saved, STDIN_FILENO);
	close(saved);
	assert_ip(f, "a", "10.96.0.1");
	/* what was read stays: it cannot be asked again */
	assert_int_equal(fl_source_refresh(f->source, NULL), 0);
	assert_ip(f, "a", "10.96.0.1");
	assert_true(fl_source_complete(f->source));
}

static int describe_unread(const struct fl_unread *unread, void *arg)
{
	char *text = arg;
	size_t len = strlen(text);

	snprintf(text + len, 512 - len, "%s %s/%s %s %u ports %u addresses; ",
		 fl_kind_name(unread->kind), unread->ns, unread->name, unread->service,
		 unread->sketch ? unread->sketch->n_ports : 0,
		 unread->sketch ? unread->sketch->n_external_ips : 0);
	return 0;
}

/* What cannot be read is named with what is known of it, unless it has a last good state. */
static void test_manifest_unread_objects(void **state)
{
	struct fixture *f = *state;
	char text[512] = "";

	put2(f, "a.yaml",
	     "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {clusterIP: nonsense,\n"
	     " externalIPs: [192.0.2.1, x], ports: [{port: 80}, {port: 0, nodePort: "
	     "30000}]}}\n---\n",
	     "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4,\n"
	     " metadata: {name: e, labels: {kubernetes.io/service-name: b}},\n"
	     " endpoints: [{addresses: [x]}]}\n---\n"
	     "{apiVersion: v1, kind: Service, metadata: {name: good}, spec: {clusterIP: "
	     "10.0.0.1}}\n");
	load(f);
	fl_source_each_unread(f->source, describe_unread, text);
	assert_string_equal(text, "Service default/a  2 ports 1 addresses; "
				  "EndpointSlice default/e b 0 ports 0 addresses; ");
	put(f, "a.yaml", service("a", "10.96.0.1"));
	assert_true(handle(f));
	put(f, "a.yaml", service("a", "nonsense"));
	assert_true(handle(f));
	assert_ip(f, "a", "10.96.0.1");
	text[0] = '\0';
	fl_source_each_unread(f->source, describe_unread, text);
	assert_string_equal(text, "");
}

/* More files than are read at once take effect in their order, whichever thread was first. */
static void test_many_files_at_a_start(void **state)
{
	struct fixture *f = *state;
	char name[16], file[24], ip[16];

	for (int i = 0; i < 600; i++) {
		snprintf(name, sizeof(name), "f%03d", i);
		snprintf(file, sizeof(file), "%s.yaml", name);
		snprintf(ip, sizeof(ip), "10.96.%d.%d", i / 250, i % 250 + 1);
		put(f, file, service(name, ip));
	}
	put(f, "f300.yaml", "kind: [");
	put(f, "g.yaml", service("f000", "10.97.0.1"));
	put(f, "a.yaml", service("f599", "10.97.0.2"));
	load(f);
	assert_int_equal(fl_store_count(f->store, FL_KIND_SERVICE), 599);
	assert_ip(f, "f000", "10.96.0.1");
	assert_ip(f, "f299", "10.96.1.50");
	assert_ip(f, "f300", "-");
	assert_ip(f, "f599", "10.97.0.2");
	list_problems(f);
	assert_reported(f, "error f300.yaml:");
	assert_reported(f, "error f599.yaml:1 Service default/f599: is also in ");
	assert_reported(f, "error g.yaml:1 Service default/f000: is also in ");
	assert_false(fl_source_complete(f->source));
	put(f, "f300.yaml", service("f300", "10.96.1.51"));
	assert_true(handle(f));
	assert_ip(f, "f300", "10.96.1.51");
	assert_true(fl_source_complete(f->source));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_many_files_at_a_start),
		TEST(test_manifest_first_reading),
		TEST(test_manifest_missing_path_fails),
		TEST(test_manifest_follows_changes),
		TEST(test_manifest_renamed_file_changes_nothing),
		TEST(test_manifest_syntax_error_keeps_file),
		TEST(test_manifest_faulty_object_keeps_itself),
		TEST(test_manifest_faulty_object_without_a_past),
		TEST(test_manifest_unidentified_object_keeps_all),
		TEST(test_manifest_wrong_version_keeps_object),
		TEST(test_manifest_misspelt_kind_keeps_object),
		TEST(test_manifest_other_objects_are_ignored),
		TEST(test_manifest_other_objects_hide_nothing),
		TEST(test_manifest_document_at_fault),
		TEST(test_manifest_what_is_incomplete),
		TEST(test_manifest_refuses_odd_files),
		TEST(test_manifest_config_map_layout),
		TEST(test_manifest_creation),
		TEST(test_manifest_directory_lost_and_found),
		TEST(test_manifest_unread_objects),
		TEST(test_manifest_standard_input),
		TEST(test_manifest_many_problems_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
