/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The configuration file: YAML documents, KubeProxyConfiguration as kube-proxy takes it (rule 9.1)
 * and FairleadConfiguration with everything that is our own; each at most once, as they are or as
 * the text config.conf of a ConfigMap.
 */
#pragma once

#include "lb/settings/settings.h"

/* Something worth a line that is no error: an ignored field. Borrowed for the call. */
typedef void (*fl_config_note_fn)(bool warning, const char *text, void *arg);

/*
 * Read text into settings; `file` is for messages. -EINVAL with "FILE:LINE: KEY: reason", -ENOMEM.
 * An unknown key is an error.
 */
int fl_config_parse(const char *text, size_t len, const char *file, struct fl_settings *settings,
		    fl_config_note_fn note, void *arg, struct fl_err *err);
/* The same from a file. */
int fl_config_read(const char *file, struct fl_settings *settings, fl_config_note_fn note,
		   void *arg, struct fl_err *err);

/*
 * The file to read when none is named: in a pod (`service_host`: KUBERNETES_SERVICE_HOST, or NULL)
 * the one that kubeadm's ConfigMap is mounted as, if it is there; else NULL. `path` is returned.
 */
#define FL_CONFIG_OF_KUBEADM "/var/lib/kube-proxy/config.conf"
const char *fl_config_of_pod(const char *service_host, const char *path);
