/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How the API server is reached, and who we are to it: from a kubeconfig, or from what the kubelet
 * gives a pod. Plain data; files are only named here, and read when they are needed, since they are
 * replaced while we run (11.4: token files are rotated).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lb/base/err.h"
#include "lb/base/strings.h"

/* A PEM text: in a file, or as it is. Neither: there is none. */
struct fl_kube_pem {
	char *file;
	char *data;
	size_t len;
};

/* Strings are owned; NULL: not given. */
struct fl_kube_access {
	char *server; /* "https://HOST:PORT[/PATH]", without a slash at its end */
	/* where the same API server is reached as well, in the same form */
	struct fl_strings other_servers;
	char *tls_server_name; /* the name in its certificate, when that is not HOST */
	char *proxy;
	bool insecure; /* its certificate is not checked */
	struct fl_kube_pem ca, cert, key;
	char *token, *token_file; /* the file is preferred */
};

/*
 * Read a kubeconfig: its current context. What it names is refused if we cannot do it (exec,
 * auth-provider, a user and password). Paths in it are relative to the file. -EINVAL with
 * "FILE:LINE: ...", or -errno.
 */
int fl_kubeconfig_read(const char *path, struct fl_kube_access *ret_access, struct fl_err *err);

/*
 * 11.2: what a pod has, by KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT (NULL: not set) and
 * the files of its ServiceAccount in `dir`. -EINVAL: not in a pod.
 */
#define FL_KUBE_SERVICE_ACCOUNT_DIR "/var/run/secrets/kubernetes.io/serviceaccount"
int fl_kube_in_cluster(const char *host, const char *port, const char *dir,
		       struct fl_kube_access *ret_access, struct fl_err *err);

void fl_kube_access_fini(struct fl_kube_access *access);
