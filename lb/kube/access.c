/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The access of a pod, and the end of any. */
#include "lb/kube/access.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"

static void pem_fini(struct fl_kube_pem *pem)
{
	free(pem->file);
	if (pem->data)
		explicit_bzero(pem->data, pem->len);
	free(pem->data);
}

void fl_kube_access_fini(struct fl_kube_access *access)
{
	free(access->server);
	fl_strings_clear(&access->other_servers);
	free(access->tls_server_name);
	free(access->proxy);
	pem_fini(&access->ca);
	pem_fini(&access->cert);
	pem_fini(&access->key);
	if (access->token)
		explicit_bzero(access->token, strlen(access->token));
	free(access->token);
	free(access->token_file);
	*access = (struct fl_kube_access){0};
}

int fl_kube_in_cluster(const char *host, const char *port, const char *dir,
		       struct fl_kube_access *ret_access, struct fl_err *err)
{
	_cleanup_(fl_kube_access_fini) struct fl_kube_access access = {0};
	const bool v6 = host && strchr(host, ':') && *host != '[';

	if (!host || !*host || !port || !*port)
		return fl_err_set(err, -EINVAL,
				  "not in a pod: KUBERNETES_SERVICE_HOST and "
				  "KUBERNETES_SERVICE_PORT are not set");
	if (asprintf(&access.server, "https://%s%s%s:%s", v6 ? "[" : "", host, v6 ? "]" : "",
		     port) < 0)
		access.server = NULL;
	if (asprintf(&access.token_file, "%s/token", dir) < 0)
		access.token_file = NULL;
	if (asprintf(&access.ca.file, "%s/ca.crt", dir) < 0)
		access.ca.file = NULL;
	if (!access.server || !access.token_file || !access.ca.file)
		return fl_err_set(err, -ENOMEM, "out of memory");
	*ret_access = access;
	access = (struct fl_kube_access){0};
	return 0;
}
