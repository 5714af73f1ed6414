/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Fuzzing the whole way from bytes to objects: whatever comes out obeys object.h, and no address
 * that must never be a backend or frontend does (robustness C5, C6). Build and run from the top of
 * the tree:
 *
 *   clang-14 -std=gnu17 -g -O1 -D_GNU_SOURCE -I. -fsanitize=fuzzer,address,undefined \
 *       tests/fuzz/fuzz_decode.c lb/base/[adeijuy]*.c lb/k8s/[df]*.c lb/model/object.c -lyaml -lm \
 *       -o build/fuzz_decode && build/fuzz_decode -max_len=8192
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lb/k8s/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool usable(const struct fl_ip *ip)
{
	return !fl_ip_is_loopback(ip) && !fl_ip_is_link_local(ip) && !fl_ip_is_multicast(ip) &&
	       !fl_ip_is_unspecified(ip);
}

static void check_service(const struct fl_service *s)
{
	assert(*s->ns && *s->name);
	for (size_t i = 0; i < s->n_ports; i++)
		assert(s->ports[i].port && s->ports[i].proto && s->ports[i].name);
	for (size_t i = 0; i < s->n_external_ips; i++)
		assert(usable(&s->external_ips[i]));
	for (size_t i = 0; i < s->n_ingress; i++)
		assert(!s->ingress[i].has_ip || usable(&s->ingress[i].ip));
	for (int f = 0; f < FL_FAMILIES; f++)
		assert(!s->has_cluster_ip[f] ||
		       (usable(&s->cluster_ip[f]) && (int)fl_ip_family(&s->cluster_ip[f]) == f));
	assert(!s->affinity || (s->affinity_timeout_s >= 1 && s->affinity_timeout_s <= 86400));
	assert(!s->headless || (!s->has_cluster_ip[FL_IPV4] && !s->has_cluster_ip[FL_IPV6]));
	assert(fl_service_equal(s, s));
}

static void check_slice(const struct fl_slice *s)
{
	assert(*s->ns && *s->name && *s->service);
	for (size_t i = 0; i < s->n_endpoints; i++) {
		assert(usable(&s->endpoints[i].ip) &&
		       fl_ip_family(&s->endpoints[i].ip) == s->family);
		assert(s->endpoints[i].node_name);
	}
	for (size_t i = 0; i < s->n_ports; i++)
		assert(s->ports[i].port && s->ports[i].proto && s->ports[i].name);
	assert(fl_slice_equal(s, s));
}

static int on_object(struct fl_object *object, unsigned int line, void *arg)
{
	assert(line);
	if (object->kind == FL_KIND_SERVICE)
		check_service(object->service);
	else if (object->kind == FL_KIND_SLICE)
		check_slice(object->slice);
	else
		assert(*object->node->name && object->node->zone);
	fl_object_free(object);
	return 0;
}

static int on_problem(const struct fl_problem *problem, void *arg)
{
	assert(*problem->reason && problem->object);
	return 0;
}

static int on_document(const struct fl_doc *doc, void *arg)
{
	const struct fl_decode_sink sink = {.object = on_object, .problem = on_problem};

	return fl_decode(doc, "fuzz", &sink);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;

	fl_doc_each(text, size, size && text[0] == '{' ? FL_DOC_JSON : FL_DOC_YAML, on_document,
		    NULL, NULL, NULL);
	return 0;
}
