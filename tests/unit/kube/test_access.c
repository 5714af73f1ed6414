/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Kubeconfigs, and what a pod has: what is taken, and what is refused with its name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lb/base/cleanup.h"
#include "lb/kube/access.h"
#include "lb/kube/base64.h"

/* "-----BEGIN X-----\n" */
#define PEM64 "LS0tLS1CRUdJTiBYLS0tLS0K"

struct place {
	char dir[64], path[80];
};

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	strcpy(p->dir, "/tmp/fairlead-access-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->path, sizeof(p->path), "%s/config", p->dir);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;

	unlink(p->path);
	assert_int_equal(rmdir(p->dir), 0);
	free(p);
	return 0;
}

static int read_text(const struct place *p, const char *text, struct fl_kube_access *ret_access,
		     struct fl_err *err)
{
	FILE *file = fopen(p->path, "we");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	return fl_kubeconfig_read(p->path, ret_access, err);
}

/* A kubeconfig whose cluster and user have these lines, from line 9 and 12 on. */
static int read_config(const struct place *p, const char *cluster, const char *user,
		       struct fl_kube_access *ret_access, struct fl_err *err)
{
	_cleanup_free_ char *text = NULL;

	assert_true(asprintf(&text,
			     "apiVersion: v1\nkind: Config\ncurrent-context: here\n"
			     "contexts:\n- {name: there, context: {cluster: x, user: x}}\n"
			     "- {name: here, context: {cluster: c, user: u, namespace: n}}\n"
			     "clusters:\n- {name: c, cluster: {\n%s}}\n"
			     "users:\n- {name: other, user: {exec: {command: x}}}\n"
			     "- {name: u, user: {\n%s}}\n",
			     cluster, user) > 0);
	return read_text(p, text, ret_access, err);
}

static void test_all_keys(void **state)
{
	_cleanup_(fl_kube_access_fini) struct fl_kube_access a = {0};
	struct fl_err err = {""};
	char path[100];

	assert_int_equal(
		read_config(*state,
			    "server: https://10.0.0.1:6443/, tls-server-name: kubernetes, "
			    "certificate-authority: pki/ca.crt, "
			    "proxy-url: \"http://proxy:3128\", extensions: []",
			    "token: abc, tokenFile: /run/token, client-certificate: c.crt, "
			    "client-key-data: " PEM64 ", client-key: unused.key",
			    &a, &err),
		0);
	snprintf(path, sizeof(path), "%s/pki/ca.crt", ((struct place *)*state)->dir);
	assert_string_equal(a.server, "https://10.0.0.1:6443");
	assert_string_equal(a.tls_server_name, "kubernetes");
	assert_string_equal(a.ca.file, path);
	assert_null(a.ca.data);
	assert_string_equal(a.proxy, "http://proxy:3128");
	assert_false(a.insecure);
	assert_string_equal(a.token, "abc");
	assert_string_equal(a.token_file, "/run/token");
	snprintf(path, sizeof(path), "%s/c.crt", ((struct place *)*state)->dir);
	assert_string_equal(a.cert.file, path);
	assert_null(a.key.file);
	assert_string_equal(a.key.data, "-----BEGIN X-----\n");
}

static void test_data_and_no_user(void **state)
{
	_cleanup_(fl_kube_access_fini) struct fl_kube_access a = {0};
	struct fl_err err = {""};

	assert_int_equal(read_config(*state,
				     "server: https://h, certificate-authority-data: " PEM64 ",\n"
				     "certificate-authority: x",
				     "", &a, &err),
			 0);
	assert_string_equal(a.ca.data, "-----BEGIN X-----\n");
	assert_null(a.ca.file);
	assert_null(a.token);
	fl_kube_access_fini(&a);
	assert_int_equal(read_config(*state, "server: https://h, insecure-skip-tls-verify: true",
				     "", &a, &err),
			 0);
	assert_true(a.insecure);
}

static void test_refused(void **state)
{
	static const struct {
		const char *cluster, *user, *why;
	} rows[] = {
		{"server: https://h", "exec: {command: aws}",
		 ":13: exec is not supported: give a token"},
		{"server: https://h", "token: x,\nauth-provider: {name: gcp}",
		 ":14: auth-provider is not supported"},
		{"server: https://h", "username: a, password: b", ":13: username is not supported"},
		{"server: https://h", "as: admin", ":13: as is not supported"},
		{"server: https://h", "tokenfile: x", ":13: tokenfile is not supported"},
		{"server: https://h,\ntls-server: x", "", ":10: tls-server is not supported"},
		{"insecure-skip-tls-verify: true", "", ": the cluster has no server"},
		{"server: h", "", "server \"h\" is not https://HOST[:PORT]"},
		{"server: \"ftp://h\"", "", "is not https://"},
		{"server: \"https:///x\"", "", "is not https://"},
		{"server: \"https://h/?a=b\"", "", "is not https://"},
		{"server: {}", "", "server must be a string"},
		{"server: https://h, insecure-skip-tls-verify: 3", "", "must be true or false"},
		{"server: https://h, certificate-authority-data: \"#\"", "",
		 "is not a PEM text in base64"},
		{"server: https://h, certificate-authority-data: YWJj", "",
		 "is not a PEM text in base64"},
		{"server: https://h, proxy-url: \"ftp://h\"", "", "proxy-url is not"},
		{"server: https://h", "client-certificate: x", "needs its key"},
		{"server: https://h", "client-key: x", "a key its certificate"},
		{"server: https://h, certificate-authority: x, insecure-skip-tls-verify: true", "",
		 "insecure-skip-tls-verify beside a certificate-authority"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fl_kube_access a = {0};
		struct fl_err err = {""};

		assert_int_equal(read_config(*state, rows[i].cluster, rows[i].user, &a, &err),
				 -EINVAL);
		if (!strstr(err.text, rows[i].why) || !strstr(err.text, "/config"))
			fail_msg("\"%s\" lacks \"%s\"", err.text, rows[i].why);
		assert_null(a.server);
	}
}

static void test_no_context(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{"{}", "no current-context"},
		{"- a", "not a kubeconfig"},
		{"current-context: a", "contexts has none named \"a\""},
		{"{current-context: a, contexts: [{name: a, context: {cluster: c}}]}",
		 "clusters has none named \"c\""},
		{"{current-context: a, contexts: [{name: a, context: {cluster: c, user: u}}],"
		 " clusters: [{name: c, cluster: {server: \"https://h\"}}]}",
		 "users has none named \"u\""},
		{"{", "line "},
	};
	struct fl_kube_access a = {0};
	struct fl_err err = {""};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(read_text(*state, rows[i].text, &a, &err), -EINVAL);
		assert_non_null(strstr(err.text, rows[i].why));
	}
	assert_int_equal(fl_kubeconfig_read("/nonexistent/x", &a, &err), -ENOENT);
	assert_string_equal(err.text, "/nonexistent/x: No such file or directory");
}

static void test_11_2_in_cluster(void **state)
{
	_cleanup_(fl_kube_access_fini) struct fl_kube_access a = {0};
	struct fl_err err = {""};

	assert_int_equal(fl_kube_in_cluster("10.96.0.1", "443", "/sa", &a, &err), 0);
	assert_string_equal(a.server, "https://10.96.0.1:443");
	assert_string_equal(a.token_file, "/sa/token");
	assert_string_equal(a.ca.file, "/sa/ca.crt");
	fl_kube_access_fini(&a);
	assert_int_equal(fl_kube_in_cluster("fd00::1", "443", "/sa", &a, &err), 0);
	assert_string_equal(a.server, "https://[fd00::1]:443");
	fl_kube_access_fini(&a);
	assert_int_equal(fl_kube_in_cluster("10.96.0.1", NULL, "/sa", &a, &err), -EINVAL);
	assert_int_equal(fl_kube_in_cluster("", "443", "/sa", &a, &err), -EINVAL);
	assert_non_null(strstr(err.text, "not in a pod"));
}

static void test_base64(void **state)
{
	static const struct {
		const char *text, *data;
	} rows[] = {
		{"", ""},
		{"Zg==", "f"},
		{"Zm8=", "fo"},
		{"Zm9v", "foo"},
		{"Zm9v\nYmFy\n", "foobar"},
		{"Zg=", NULL},
		{"Zg", NULL},
		{"Z===", NULL},
		{"====", NULL},
		{"Zg==Zg==", NULL},
		{"Zm9-", NULL},
		{"=m9v", NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		_cleanup_free_ char *data = NULL;
		size_t len = 0;
		int r = fl_base64_decode(rows[i].text, &data, &len);

		assert_int_equal(r, rows[i].data ? 0 : -EINVAL);
		if (r)
			continue;
		assert_int_equal(len, strlen(rows[i].data));
		assert_string_equal(data, rows[i].data);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_all_keys, setup, teardown),
		cmocka_unit_test_setup_teardown(test_data_and_no_user, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_context, setup, teardown),
		cmocka_unit_test(test_11_2_in_cluster),
		cmocka_unit_test(test_base64),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
