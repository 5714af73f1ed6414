/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The current context of a kubeconfig. Every key of it is known to a table: it is taken, ignored,
 * or refused with the reason; a key that is in none is refused too, since it may be what keeps the
 * connection safe.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"
#include "lb/base/doc.h"
#include "lb/base/read_file.h"
#include "lb/base/url.h"
#include "lb/kube/access.h"
#include "lb/kube/base64.h"

#define MAX_BYTES (1024 * 1024)

enum key_treatment {
	TEXT,	/* to a string of the access */
	PATH,	/* the same, relative to the kubeconfig */
	DATA,	/* base64, to a struct fl_kube_pem */
	FLAG,	/* to a bool */
	IGNORE, /* nothing is lost */
	REFUSE,
};

struct config_key {
	const char *name;
	enum key_treatment treatment;
	size_t offset;	 /* in struct fl_kube_access */
	const char *why; /* it is refused */
};

#define A(field) offsetof(struct fl_kube_access, field)

static const struct config_key cluster_keys[] = {
	{"server", TEXT, A(server), NULL},
	{"tls-server-name", TEXT, A(tls_server_name), NULL},
	{"insecure-skip-tls-verify", FLAG, A(insecure), NULL},
	{"certificate-authority", PATH, A(ca.file), NULL},
	{"certificate-authority-data", DATA, A(ca), NULL},
	{"proxy-url", TEXT, A(proxy), NULL},
	{"disable-compression", IGNORE, 0, NULL},
	{"extensions", IGNORE, 0, NULL},
	{NULL, IGNORE, 0, NULL},
};

#define NO_PROGRAM "is not supported: give a token, a tokenFile or a client certificate"
#define NO_IMPERSONATION "is not supported: give the credentials of that user"

static const struct config_key user_keys[] = {
	{"token", TEXT, A(token), NULL},
	{"tokenFile", PATH, A(token_file), NULL},
	{"client-certificate", PATH, A(cert.file), NULL},
	{"client-certificate-data", DATA, A(cert), NULL},
	{"client-key", PATH, A(key.file), NULL},
	{"client-key-data", DATA, A(key), NULL},
	{"extensions", IGNORE, 0, NULL},
	{"exec", REFUSE, 0, NO_PROGRAM},
	{"auth-provider", REFUSE, 0, NO_PROGRAM},
	{"username", REFUSE, 0, NO_PROGRAM},
	{"password", REFUSE, 0, NO_PROGRAM},
	{"as", REFUSE, 0, NO_IMPERSONATION},
	{"as-uid", REFUSE, 0, NO_IMPERSONATION},
	{"as-groups", REFUSE, 0, NO_IMPERSONATION},
	{"as-user-extra", REFUSE, 0, NO_IMPERSONATION},
	{NULL, IGNORE, 0, NULL},
};

struct config_file {
	const char *path;
	struct fl_kube_access *access;
	struct fl_err *err;
};

static int fault(const struct config_file *f, const struct fl_value *value, const char *key,
		 const char *why)
{
	return fl_err_set(f->err, -EINVAL, "%s:%u: %s %s", f->path, fl_value_line(value), key, why);
}

static int set_text(const struct config_file *f, const struct fl_value *value, const char *name,
		    bool path, char **field)
{
	const char *text = fl_value_text(value), *slash = strrchr(f->path, '/');
	int r;

	if (!text)
		return fault(f, value, name, "must be a string");
	if (!*text)
		return 0;
	if (path && *text != '/' && slash)
		r = asprintf(field, "%.*s/%s", (int)(slash - f->path), f->path, text);
	else
		r = asprintf(field, "%s", text);
	if (r >= 0)
		return 0;
	*field = NULL;
	return fl_err_set(f->err, -ENOMEM, "out of memory");
}

static int set_data(const struct config_file *f, const struct fl_value *value, const char *name,
		    struct fl_kube_pem *pem)
{
	const char *text = fl_value_string(value);
	int r;

	if (!text)
		return fault(f, value, name, "must be a string");
	if (!*text)
		return 0;
	r = fl_base64_decode(text, &pem->data, &pem->len);
	if (r == -ENOMEM)
		return fl_err_set(f->err, r, "out of memory");
	if (r || strlen(pem->data) != pem->len || !strstr(pem->data, "-----BEGIN "))
		return fault(f, value, name, "is not a PEM text in base64");
	return 0;
}

static int set_flag(const struct config_file *f, const struct fl_value *value, const char *name,
		    bool *field)
{
	return fl_value_bool(value, field) ? 0 : fault(f, value, name, "must be true or false");
}

static int set_key(const struct config_file *f, const struct fl_value *value,
		   const struct config_key *key)
{
	void *field = (char *)f->access + key->offset;

	if (fl_value_type(value) == FL_VALUE_NULL)
		return 0;
	switch (key->treatment) {
	case TEXT:
	case PATH:
		return set_text(f, value, key->name, key->treatment == PATH, field);
	case DATA:
		return set_data(f, value, key->name, field);
	case FLAG:
		return set_flag(f, value, key->name, field);
	case REFUSE:
		return fault(f, value, key->name, key->why);
	case IGNORE:
		break;
	}
	return 0;
}

static int set_keys(const struct config_file *f, const struct fl_value *map,
		    const struct config_key *keys)
{
	FL_VALUE_EACH(member, map)
	{
		const struct config_key *key = keys;
		int r;

		while (key->name && strcmp(key->name, fl_value_key(member)))
			key++;
		if (!key->name)
			return fault(f, member, fl_value_key(member), "is not supported");
		r = set_key(f, member, key);
		if (r)
			return r;
	}
	return 0;
}

/* The member `part` of the element of `list` that has this name. */
static int find_named(const struct config_file *f, const struct fl_value *root, const char *list,
		      const char *part, const char *name, const struct fl_value **ret_part)
{
	FL_VALUE_EACH(item, fl_value_get(root, list))
	{
		const char *its = fl_value_text(fl_value_get(item, "name"));

		if (!its || strcmp(its, name))
			continue;
		*ret_part = fl_value_get(item, part);
		if (*ret_part && fl_value_type(*ret_part) != FL_VALUE_MAP)
			return fault(f, *ret_part, part, "must be a map");
		return 0;
	}
	return fl_err_set(f->err, -EINVAL, "%s: %s has none named \"%.100s\"", f->path, list, name);
}

/* Data is preferred to a file, as kubectl does. */
static void prefer_data(struct fl_kube_pem *pem)
{
	if (!pem->data)
		return;
	free(pem->file);
	pem->file = NULL;
}

static bool is_given(const struct fl_kube_pem *pem)
{
	return pem->file || pem->data;
}

static int check(const struct config_file *f)
{
	static const char *const server_schemes[] = {"https://", "http://", NULL};
	static const char *const proxy_schemes[] = {"https://", "http://", "socks5://", NULL};
	struct fl_kube_access *a = f->access;

	prefer_data(&a->ca);
	prefer_data(&a->cert);
	prefer_data(&a->key);
	if (!a->server)
		return fl_err_set(f->err, -EINVAL, "%s: the cluster has no server", f->path);
	if (!fl_url_is_base(a->server, server_schemes))
		return fl_err_set(f->err, -EINVAL,
				  "%s: server \"%.200s\" is not https://HOST[:PORT]", f->path,
				  a->server);
	while (a->server[strlen(a->server) - 1] == '/')
		a->server[strlen(a->server) - 1] = '\0';
	if (a->proxy && !fl_url_is_base(a->proxy, proxy_schemes))
		return fl_err_set(f->err, -EINVAL,
				  "%s: proxy-url is not http://, https:// or socks5://HOST[:PORT]",
				  f->path);
	if (is_given(&a->cert) != is_given(&a->key))
		return fl_err_set(f->err, -EINVAL,
				  "%s: a client certificate needs its key, and a "
				  "key its certificate",
				  f->path);
	if (a->insecure && is_given(&a->ca))
		return fl_err_set(f->err, -EINVAL,
				  "%s: insecure-skip-tls-verify beside a certificate-authority",
				  f->path);
	return 0;
}

static int read_root(const struct config_file *f, const struct fl_value *root)
{
	const char *current = fl_value_text(fl_value_get(root, "current-context"));
	const struct fl_value *context, *cluster = NULL, *user = NULL;
	const char *name;
	int r;

	if (fl_value_type(root) != FL_VALUE_MAP)
		return fl_err_set(f->err, -EINVAL, "%s: not a kubeconfig", f->path);
	if (!current || !*current)
		return fl_err_set(f->err, -EINVAL, "%s: no current-context", f->path);
	r = find_named(f, root, "contexts", "context", current, &context);
	if (r)
		return r;
	name = fl_value_text(fl_value_get(context, "cluster"));
	r = find_named(f, root, "clusters", "cluster", name ? name : "", &cluster);
	name = fl_value_text(fl_value_get(context, "user"));
	if (!r && name && *name)
		r = find_named(f, root, "users", "user", name, &user);
	if (!r)
		r = set_keys(f, cluster, cluster_keys);
	if (!r)
		r = set_keys(f, user, user_keys);
	return r ? r : check(f);
}

int fl_kubeconfig_read(const char *path, struct fl_kube_access *ret_access, struct fl_err *err)
{
	_cleanup_(fl_kube_access_fini) struct fl_kube_access access = {0};
	const struct config_file file = {path, &access, err};
	_cleanup_(fl_doc_free) struct fl_doc *doc = NULL;
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = fl_read_file(path, MAX_BYTES, &text, &len, NULL, err);

	if (r)
		return fl_err_wrap(err, r, "%s", path);
	r = fl_doc_parse(text, len, FL_DOC_YAML, &doc, err);
	explicit_bzero(text, len);
	if (r)
		return fl_err_wrap(err, r, "%s", path);
	r = read_root(&file, fl_doc_root(doc));
	if (r)
		return r;
	*ret_access = access;
	access = (struct fl_kube_access){0};
	return 0;
}
