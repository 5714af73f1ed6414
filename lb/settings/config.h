/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The configuration file: YAML documents, KubeProxyConfiguration as kube-proxy takes it (rule 9.1)
 * and FairleadConfiguration with everything that is our own; each at most once.
 */
#pragma once

#include "lb/settings/settings.h"

/* Something worth a line that is no error: an ignored or unknown field. Borrowed for the call. */
typedef void (*fl_config_note_fn)(bool warning, const char *text, void *arg);

/*
 * Read text into settings; `file` is for messages. -EINVAL with "FILE:LINE: KEY: reason", -ENOMEM.
 * Unknown keys are a note in a KubeProxyConfiguration and an error in ours.
 */
int fl_config_parse(const char *text, size_t len, const char *file, struct fl_settings *settings,
		    fl_config_note_fn note, void *arg, struct fl_err *err);
/* The same from a file. */
int fl_config_read(const char *file, struct fl_settings *settings, fl_config_note_fn note,
		   void *arg, struct fl_err *err);
