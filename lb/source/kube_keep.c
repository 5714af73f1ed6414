/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The walk over the objects, in their order: it goes on behind the last one, whatever changes. */
#include "lb/source/kube_keep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"
#include "lb/k8s/encode.h"

#define AFTER_MS 1000
#define EVERY_MS 10000
#define AGAIN_MS 30000	 /* after a failure */
#define BYTES_PER_MS 256 /* on average: a large file is written less often */
#define SLICE_NS 2000000 /* of a turn */
#define BETWEEN_SLICES_MS 5

struct fl_kube_keep {
	struct fl_kube_keep_options options;
	struct fl_kept_writer *writer;
	enum fl_kind kind;
	char *ns, *name;  /* the last object that was written of it; NULL: none yet */
	uint64_t changes; /* of the store, when the file was begun */
	bool written;
	struct fl_mono due, not_before;
	struct fl_err trouble;
};

int fl_kube_keep_new(const struct fl_kube_keep_options *options, struct fl_kube_keep **ret_keep)
{
	struct fl_kube_keep *keep = calloc(1, sizeof(*keep));

	if (!keep)
		return -ENOMEM;
	keep->options = *options;
	if (!keep->options.after_ms)
		keep->options.after_ms = AFTER_MS;
	if (!keep->options.every_ms)
		keep->options.every_ms = EVERY_MS;
	*ret_keep = keep;
	return 0;
}

static void forget_place(struct fl_kube_keep *keep)
{
	free(keep->ns);
	free(keep->name);
	keep->ns = keep->name = NULL;
}

void fl_kube_keep_free(struct fl_kube_keep **keep)
{
	struct fl_kube_keep *k = TAKE_PTR(*keep);

	if (!k)
		return;
	fl_kept_writer_free(&k->writer);
	forget_place(k);
	free(k);
}

const char *fl_kube_keep_trouble(const struct fl_kube_keep *keep)
{
	return keep->trouble.text[0] ? keep->trouble.text : NULL;
}

static uint64_t count_changes(const struct fl_kube_keep *keep)
{
	uint64_t n = 0;

	for (enum fl_kind kind = 0; kind < FL_KINDS; kind++)
		n += fl_store_changes(keep->options.store, kind);
	return n;
}

static void json_freep(struct fl_json **json)
{
	fl_json_free(json);
}

/* What another source has too is on standby, and not in the store. */
static int encode(const struct fl_kube_keep *keep, const struct fl_object_key *key,
		  const struct fl_object *standby, struct fl_json *json)
{
	const struct fl_store *store = keep->options.store;
	const struct fl_service *service;
	const struct fl_slice *slice;
	const struct fl_node *node;
	const struct fl_pod *pod;

	switch (key->kind) {
	case FL_KIND_SERVICE:
		service = standby ? standby->service : fl_store_service(store, key->ns, key->name);
		if (service)
			fl_encode_service(service, json);
		return service ? 0 : -ENOENT;
	case FL_KIND_SLICE:
		slice = standby ? standby->slice : fl_store_slice(store, key->ns, key->name);
		if (slice)
			fl_encode_slice(slice, json);
		return slice ? 0 : -ENOENT;
	case FL_KIND_NODE:
		node = standby ? standby->node : fl_store_node_named(store, key->name);
		if (node)
			fl_encode_node(node, json);
		return node ? 0 : -ENOENT;
	case FL_KIND_POD:
		pod = standby ? standby->pod : fl_store_pod(store, key->ns, key->name);
		if (pod)
			fl_encode_pod(pod, json);
		return pod ? 0 : -ENOENT;
	}
	return -ENOENT;
}

static int no_memory(struct fl_err *err)
{
	return fl_err_set(err, -ENOMEM, "out of memory");
}

static int write_one(struct fl_kube_keep *keep, const struct fl_object_key *key,
		     const struct fl_object *standby, bool *ret_wrote, struct fl_err *err)
{
	_cleanup_(json_freep) struct fl_json *json = fl_json_new(false);
	const char *text;
	size_t len;

	if (!json)
		return no_memory(err);
	if (encode(keep, key, standby, json))
		return 0;
	text = fl_json_text(json, &len);
	return text ? fl_kept_writer_add(keep->writer, text, len, ret_wrote, err) : no_memory(err);
}

/* 1: there is none left. */
static int write_next(struct fl_kube_keep *keep, bool *ret_wrote, struct fl_err *err)
{
	const struct fl_object_key last = {keep->kind, keep->ns, keep->name};
	const struct fl_object *standby;
	struct fl_object_key key;
	int r;

	while (!keep->options.definers[keep->kind] ||
	       !fl_definitions_next(keep->options.definers[keep->kind], keep->name ? &last : NULL,
				    &key, &standby)) {
		forget_place(keep);
		if (keep->kind + 1 == FL_KINDS)
			return 1;
		keep->kind++;
	}
	r = write_one(keep, &key, standby, ret_wrote, err);
	forget_place(keep);
	keep->ns = strdup(key.ns);
	keep->name = strdup(key.name);
	return r ? r : keep->ns && keep->name ? 0 : no_memory(err);
}

/* Some of it. 1: it is done. */
static int write_slice(struct fl_kube_keep *keep, struct fl_mono begin, struct fl_err *err)
{
	bool wrote = false;
	int r = 0;

	while (!r && !wrote && fl_mono_ns_between(begin, fl_mono_now()) < SLICE_NS)
		r = write_next(keep, &wrote, err);
	return r;
}

static int begin(struct fl_kube_keep *keep, struct fl_err *err)
{
	keep->changes = count_changes(keep);
	keep->kind = 0;
	forget_place(keep);
	return fl_kept_writer_new(keep->options.path, &keep->options.owner,
				  fl_clock_system.unix_s(fl_clock_system.arg), &keep->writer, err);
}

static void failed(struct fl_kube_keep *keep, struct fl_mono now, const struct fl_err *err)
{
	fl_kept_writer_free(&keep->writer);
	keep->trouble = *err;
	if (!keep->trouble.text[0])
		no_memory(&keep->trouble);
	keep->due = fl_mono_plus_ms(now, AGAIN_MS);
}

static void finish(struct fl_kube_keep *keep, struct fl_mono now)
{
	struct fl_err err = {""};
	const int64_t bytes = fl_kept_writer_commit(keep->writer, &err);

	if (bytes < 0) {
		failed(keep, now, &err);
		return;
	}
	fl_kept_writer_free(&keep->writer);
	keep->written = true;
	keep->trouble.text[0] = '\0';
	keep->due = (struct fl_mono){0};
	keep->not_before =
		fl_mono_plus_ms(now, keep->options.every_ms + (uint64_t)bytes / BYTES_PER_MS);
}

/* When a file is to be begun; ns 0: nothing has changed. */
static struct fl_mono when(struct fl_kube_keep *keep, struct fl_mono now)
{
	if (keep->due.ns || (keep->written && count_changes(keep) == keep->changes))
		return keep->due;
	keep->due = fl_mono_plus_ms(now, keep->options.after_ms);
	if (keep->due.ns < keep->not_before.ns)
		keep->due = keep->not_before;
	return keep->due;
}

struct fl_mono fl_kube_keep_turn(struct fl_kube_keep *keep, struct fl_mono now)
{
	struct fl_err err = {""};
	int r = 0;

	if (!keep->writer) {
		if (!when(keep, now).ns || now.ns < keep->due.ns)
			return keep->due;
		r = begin(keep, &err);
	}
	if (!r)
		r = write_slice(keep, now, &err);
	if (r < 0)
		failed(keep, now, &err);
	else if (r)
		finish(keep, now);
	return keep->writer ? fl_mono_plus_ms(now, BETWEEN_SLICES_MS) : keep->due;
}
