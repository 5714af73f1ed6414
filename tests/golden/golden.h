/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Comparing output with the file that recorded it, relative to the root of the repository.
 * FL_GOLDEN_UPDATE=1 writes the files instead. The version stands as @VERSION@, so that a release
 * changes none of them.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static inline char *golden_replace(char *text, const char *from, const char *to)
{
	char *out = NULL, *at = text, *hit;
	size_t len;
	FILE *f = open_memstream(&out, &len);

	while ((hit = strstr(at, from))) {
		fwrite(at, 1, (size_t)(hit - at), f);
		fputs(to, f);
		at = hit + strlen(from);
	}
	fputs(at, f);
	fclose(f);
	free(text);
	return out;
}

static inline char *golden_normalise(const char *text)
{
	char *out = strdup(text);

	out = golden_replace(out, "\"" FL_VERSION "\"", "\"@VERSION@\"");
	out = golden_replace(out, "fairlead " FL_VERSION, "fairlead @VERSION@");
	return golden_replace(out, "fairleadd " FL_VERSION, "fairleadd @VERSION@");
}

/* The whole file, or NULL. The caller frees it. */
static inline char *golden_read(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = NULL;
	size_t len = 0;

	if (!f)
		return NULL;
	if (getdelim(&text, &len, '\0', f) < 0) {
		free(text);
		text = strdup("");
	}
	fclose(f);
	return text;
}

/* 0 when `text` is what the file says; else the difference is printed. */
static inline int golden_check(const char *path, const char *text)
{
	char *now = golden_normalise(text), *then;
	int rc = 0;

	if (getenv("FL_GOLDEN_UPDATE")) {
		FILE *f = fopen(path, "w");

		if (!f || fputs(now, f) < 0 || fclose(f)) {
			fprintf(stderr, "cannot write %s\n", path);
			rc = 1;
		}
		free(now);
		return rc;
	}
	then = golden_read(path);
	if (!then || strcmp(now, then)) {
		fprintf(stderr, "--- %s%s\n%s\n+++ now\n%s\n", path, then ? "" : " (missing)",
			then ? then : "", now);
		rc = 1;
	}
	free(then);
	free(now);
	return rc;
}
