/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The objects held now: what each kind's arrival and departure means to the Services. */
#include "lb/model/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/array.h"
#include "lb/base/cleanup.h"
#include "lb/model/host_ports.h"
#include "lb/model/nodes.h"
#include "lb/model/pods.h"
#include "lb/model/store_index.h"

#define MAX_TRIGGERS 4096
#define TRIGGERS_ALIKE 64 /* among so many of the last one is looked for */

/* A change of a Service's endpoints that is not measured yet. */
struct trigger {
	uint64_t service; /* hash of its name */
	int64_t unix_ns;
	enum fl_family family;
};

struct fl_store {
	char *node_name;
	struct fl_node *node; /* ours */
	struct fl_nodes nodes;
	bool places; /* plans depend on where they are */
	struct fl_store_index index;
	struct fl_pods pods;
	size_t n_services, n_of_pods, n_slices_of_pods;
	uint64_t changes[FL_KINDS];
	struct trigger *triggers;
	size_t n_triggers, triggers_room;
};

static int put_service(struct fl_store *store, struct fl_service **service)
{
	struct fl_store_record *record =
		fl_store_record_get(&store->index, (*service)->ns, (*service)->name);

	if (!record)
		return -ENOMEM;
	if (record->service && fl_service_equal(record->service, *service))
		return 0;
	if (!record->service)
		store->n_services++;
	fl_service_free(&record->service);
	record->service = TAKE_PTR(*service);
	fl_store_record_mark(&store->index, record);
	store->changes[FL_KIND_SERVICE]++;
	return 0;
}

/* FNV-1a */
static uint64_t hash_name(const char *ns, const char *name)
{
	uint64_t hash = 14695981039346656037ULL;

	for (; *ns; ns++)
		hash = (hash ^ (uint8_t)*ns) * 1099511628211ULL;
	hash = (hash ^ '/') * 1099511628211ULL;
	for (; *name; name++)
		hash = (hash ^ (uint8_t)*name) * 1099511628211ULL;
	return hash;
}

static bool is_new(const struct fl_store *store, const struct trigger *trigger)
{
	/* the slices of a Service arrive one after the other */
	const size_t n = store->n_triggers < TRIGGERS_ALIKE ? store->n_triggers : TRIGGERS_ALIKE;

	for (size_t i = 1; i <= n; i++) {
		const struct trigger *t = &store->triggers[store->n_triggers - i];

		if (t->service == trigger->service && t->unix_ns == trigger->unix_ns &&
		    t->family == trigger->family)
			return false;
	}
	return true;
}

static int put_slice(struct fl_store *store, struct fl_slice **slice)
{
	const struct trigger trigger = {.service = hash_name((*slice)->ns, (*slice)->service),
					.unix_ns = (*slice)->trigger_unix_ns,
					.family = (*slice)->family};
	int rc = fl_store_index_put_slice(&store->index, slice);

	if (rc || *slice) /* or equal to what is held */
		return rc;
	store->changes[FL_KIND_SLICE]++;
	if (trigger.unix_ns && store->n_triggers < MAX_TRIGGERS && is_new(store, &trigger) &&
	    !FL_ARRAY_ROOM(store->triggers, store->triggers_room, store->n_triggers + 1))
		store->triggers[store->n_triggers++] = trigger;
	return 0;
}

static bool same_addresses(const struct fl_node *a, const struct fl_node *b)
{
	if (a->n_addresses != b->n_addresses)
		return false;
	for (size_t i = 0; i < a->n_addresses; i++) {
		if (!fl_ip_equal(&a->addresses[i], &b->addresses[i]))
			return false;
	}
	return true;
}

/* Plans depend on zone and addresses (rules 10.12, 5.6.5); a missing Node has neither. Returns the
 * Node before. */
static struct fl_node *set_node(struct fl_store *store, struct fl_node *node)
{
	static char none[] = "";
	static const struct fl_node no_node = {.zone = none};
	const struct fl_node *before = store->node ? store->node : &no_node;
	const struct fl_node *after = node ? node : &no_node;
	bool changed = strcmp(before->zone, after->zone) || !same_addresses(before, after);
	struct fl_node *old = store->node;

	if (!node || !old ? node != old : !fl_node_equal(old, node)) {
		store->changes[FL_KIND_NODE]++;
		store->nodes.is_current = false;
	}
	store->node = node;
	if (changed)
		fl_store_mark_all(store);
	return old;
}

static int put_node(struct fl_store *store, struct fl_node **node)
{
	const struct fl_node *before;
	bool changed, moved;
	int rc;

	if (!strcmp((*node)->name, store->node_name)) {
		*node = set_node(store, *node);
		return 0;
	}
	before = fl_nodes_find(&store->nodes, (*node)->name);
	moved = !before || !same_addresses(before, *node);
	rc = fl_nodes_put(&store->nodes, node, &changed);
	store->changes[FL_KIND_NODE] += !rc && changed;
	if (!rc && moved && store->places)
		fl_store_mark_all(store);
	return rc;
}

int fl_store_new(const char *node_name, struct fl_store **ret_store)
{
	struct fl_store *store = calloc(1, sizeof(*store));

	if (!store)
		return -ENOMEM;
	store->node_name = strdup(node_name);
	if (!store->node_name) {
		free(store);
		return -ENOMEM;
	}
	store->index.node_name = store->node_name;
	*ret_store = store;
	return 0;
}

void fl_store_free(struct fl_store **store)
{
	if (!*store)
		return;
	fl_store_index_fini(&(*store)->index);
	fl_node_free(&(*store)->node);
	fl_nodes_fini(&(*store)->nodes);
	fl_pods_fini(&(*store)->pods);
	free((*store)->node_name);
	free((*store)->triggers);
	free(*store);
	*store = NULL;
}

static void count_of_pods(struct fl_store *store, const struct fl_object *object, bool more)
{
	size_t *n = object->kind == FL_KIND_SERVICE ? &store->n_of_pods : &store->n_slices_of_pods;

	*n += more ? 1 : -1;
}

/* What was made of a Pod goes. */
static void drop_host_ports(struct fl_store *store, const struct fl_pod *pod)
{
	struct fl_object *objects;
	size_t n;

	/* without memory it stays, and is taken for a Service's */
	if (fl_host_ports_make(pod, &objects, &n))
		return;
	for (size_t i = 0; i < n; i++) {
		struct fl_object *object = &objects[i];
		const bool is_service = object->kind == FL_KIND_SERVICE;

		count_of_pods(store, object, false);
		fl_store_del(store, object->kind, pod->ns,
			     is_service ? object->service->name : object->slice->name);
		fl_object_free(object);
	}
	free(objects);
}

static int add_host_ports(struct fl_store *store, const struct fl_pod *pod)
{
	struct fl_object *objects;
	size_t n;
	int rc = fl_host_ports_make(pod, &objects, &n);

	if (rc)
		return rc;
	for (size_t i = 0; i < n; i++) {
		int failed;

		count_of_pods(store, &objects[i], true);
		failed = fl_store_put(store, &objects[i]);
		rc = rc ? rc : failed;
	}
	free(objects);
	return rc;
}

static struct fl_pod *take_pod(struct fl_store *store, const char *ns, const char *name)
{
	struct fl_pod *pod = fl_pods_take(&store->pods, ns, name);

	if (pod) {
		store->changes[FL_KIND_POD]++;
		drop_host_ports(store, pod);
	}
	return pod;
}

static int put_pod(struct fl_store *store, struct fl_pod **pod)
{
	const bool is_ours = !strcmp((*pod)->node_name, store->node_name);
	const struct fl_pod *now = fl_pods_find(&store->pods, (*pod)->ns, (*pod)->name);
	struct fl_pod *old;
	int rc;

	if (now && is_ours && fl_pod_equal(now, *pod))
		return 0;
	old = take_pod(store, (*pod)->ns, (*pod)->name);
	fl_pod_free(&old);
	if (!is_ours || !fl_pod_has_host_ports(*pod))
		return 0;
	store->changes[FL_KIND_POD]++;
	now = *pod;
	rc = fl_pods_add(&store->pods, pod);
	return rc ? rc : add_host_ports(store, now);
}

int fl_store_put(struct fl_store *store, struct fl_object *object)
{
	int rc = 0;

	fl_store_record_release(&store->index);
	switch (object->kind) {
	case FL_KIND_SERVICE:
		rc = put_service(store, &object->service);
		break;
	case FL_KIND_SLICE:
		rc = put_slice(store, &object->slice);
		break;
	case FL_KIND_NODE:
		rc = put_node(store, &object->node);
		break;
	case FL_KIND_POD:
		rc = put_pod(store, &object->pod);
		break;
	}
	fl_object_free(object);
	return rc;
}

struct fl_object fl_store_take(struct fl_store *store, enum fl_kind kind, const char *ns,
			       const char *name)
{
	struct fl_object object = {.kind = kind};
	struct fl_store_record *record;

	/* not fl_store_record_release() before: `name` may be the name that was lent out */
	switch (kind) {
	case FL_KIND_SERVICE:
		record = fl_store_record_find(&store->index, ns, name);
		if (record && record->service) {
			object.service = TAKE_PTR(record->service);
			store->n_services--;
			fl_store_record_mark(&store->index, record);
			store->changes[FL_KIND_SERVICE]++;
		}
		break;
	case FL_KIND_SLICE:
		object.slice = fl_store_index_take_slice(&store->index, ns, name);
		store->changes[FL_KIND_SLICE] += object.slice != NULL;
		break;
	case FL_KIND_NODE:
		if (!strcmp(name, store->node_name)) {
			object.node = set_node(store, NULL);
			break;
		}
		object.node = fl_nodes_take(&store->nodes, name);
		store->changes[FL_KIND_NODE] += object.node != NULL;
		if (object.node && store->places)
			fl_store_mark_all(store);
		break;
	case FL_KIND_POD:
		object.pod = take_pod(store, ns, name);
		break;
	}
	fl_store_record_release(&store->index);
	return object;
}

void fl_store_del(struct fl_store *store, enum fl_kind kind, const char *ns, const char *name)
{
	struct fl_object object = fl_store_take(store, kind, ns, name);

	fl_object_free(&object);
}

const struct fl_service *fl_store_service(const struct fl_store *store, const char *ns,
					  const char *name)
{
	const struct fl_store_record *record = fl_store_record_find(&store->index, ns, name);

	return record ? record->service : NULL;
}

const struct fl_slice *fl_store_slice(const struct fl_store *store, const char *ns,
				      const char *name)
{
	return fl_store_index_slice(&store->index, ns, name);
}

const struct fl_node *fl_store_node(const struct fl_store *store)
{
	return store->node;
}

const struct fl_pod *fl_store_pod(const struct fl_store *store, const char *ns, const char *name)
{
	return fl_pods_find(&store->pods, ns, name);
}

const struct fl_node *fl_store_node_named(const struct fl_store *store, const char *name)
{
	return strcmp(name, store->node_name) ? fl_nodes_find(&store->nodes, name) : store->node;
}

const struct fl_nodes *fl_store_nodes(struct fl_store *store)
{
	store->places = true;
	return &store->nodes;
}

int fl_store_node_addresses(struct fl_store *store, const struct fl_ip **ret_addresses,
			    size_t *ret_n)
{
	return fl_nodes_addresses(&store->nodes, store->node, ret_addresses, ret_n);
}

const char *fl_store_node_name(const struct fl_store *store)
{
	return store->node_name;
}

const struct fl_slice *const *fl_store_slices(const struct fl_store *store, const char *ns,
					      const char *service, size_t *ret_n)
{
	const struct fl_store_record *record = fl_store_record_find(&store->index, ns, service);

	*ret_n = record ? record->n_slices : 0;
	return *ret_n ? (const struct fl_slice *const *)record->slices : NULL;
}

size_t fl_store_count(const struct fl_store *store, enum fl_kind kind)
{
	switch (kind) {
	case FL_KIND_SERVICE:
		return store->n_services - store->n_of_pods;
	case FL_KIND_SLICE:
		return HASH_COUNT(store->index.slices) - store->n_slices_of_pods;
	case FL_KIND_POD:
		return HASH_COUNT(store->pods.held);
	default:
		return HASH_COUNT(store->nodes.others) + (store->node ? 1 : 0);
	}
}

static int compare_services(const void *a, const void *b)
{
	const struct fl_service *sa = *(const struct fl_service *const *)a;
	const struct fl_service *sb = *(const struct fl_service *const *)b;

	return fl_store_name_cmp(&(struct fl_store_name){sa->ns, sa->name},
				 &(struct fl_store_name){sb->ns, sb->name});
}

int fl_store_each_service(const struct fl_store *store,
			  int (*fn)(const struct fl_service *service, void *arg), void *arg)
{
	_cleanup_free_ const struct fl_service **sorted = NULL;
	const struct fl_store_record *record;
	size_t n = 0;
	int rc = 0;

	sorted = calloc(store->n_services + 1, sizeof(*sorted));
	if (!sorted)
		return -ENOMEM;
	for (record = store->index.records; record; record = record->hh.next) {
		if (record->service)
			sorted[n++] = record->service;
	}
	qsort(sorted, n, sizeof(*sorted), compare_services);
	for (size_t i = 0; i < n && !rc; i++)
		rc = fn(sorted[i], arg);
	return rc;
}

int fl_store_each_name(const struct fl_store *store,
		       int (*fn)(const char *ns, const char *name, void *arg), void *arg)
{
	const struct fl_store_record *record;
	int rc = 0;

	for (record = store->index.records; record && !rc; record = record->hh.next)
		if (record->service || record->n_slices)
			rc = fn(record->key.ns, record->key.name, arg);
	return rc;
}

int fl_store_each_unserved(const struct fl_store *store,
			   int (*fn)(const char *ns, const char *name,
				     const struct fl_slice *const *slices, size_t n, void *arg),
			   void *arg)
{
	const struct fl_store_record *record;
	int rc = 0;

	for (record = store->index.records; record && !rc; record = record->hh.next)
		if (!record->service && record->n_slices)
			rc = fn(record->key.ns, record->key.name,
				(const struct fl_slice *const *)record->slices, record->n_slices,
				arg);
	return rc;
}

size_t fl_store_count_named(const struct fl_store *store, bool ours)
{
	return ours ? store->index.n_ours : store->index.n_named;
}

bool fl_store_take_dirty(struct fl_store *store, struct fl_service_key *ret_key)
{
	struct fl_store_record *record = fl_store_record_take(&store->index);

	if (!record)
		return false;
	*ret_key = (struct fl_service_key){record->key.ns, record->key.name};
	return true;
}

uint64_t fl_store_changes(const struct fl_store *store, enum fl_kind kind)
{
	return store->changes[kind];
}

void fl_store_take_triggers(struct fl_store *store,
			    void (*fn)(enum fl_family family, int64_t trigger_unix_ns, void *arg),
			    void *arg)
{
	for (size_t i = 0; i < store->n_triggers; i++)
		fn(store->triggers[i].family, store->triggers[i].unix_ns, arg);
	store->n_triggers = 0;
}

size_t fl_store_dirty_count(const struct fl_store *store)
{
	return store->index.n_dirty;
}

void fl_store_mark(struct fl_store *store, const char *ns, const char *name)
{
	struct fl_store_record *record = fl_store_record_find(&store->index, ns, name);

	if (record && record->service)
		fl_store_record_mark(&store->index, record);
}

void fl_store_mark_all(struct fl_store *store)
{
	struct fl_store_record *record;

	for (record = store->index.records; record; record = record->hh.next) {
		if (record->service)
			fl_store_record_mark(&store->index, record);
	}
}
