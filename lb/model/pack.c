/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * An object in one block instead of a dozen: first the object, then its arrays, then its texts.
 * Short texts are most of what a hundred thousand endpoints have, and as blocks of their own they
 * would take 32 bytes each.
 */
#include <stdlib.h>
#include <string.h>

#include "lb/model/object.h"

#define ALIGN 8

/* Where the next part goes; `at` is NULL while the parts are only counted. */
struct block {
	char *at;
	size_t size;
};

static size_t aligned(size_t size)
{
	return (size + ALIGN - 1) / ALIGN * ALIGN;
}

static void *move(struct block *block, const void *from, size_t size)
{
	void *to = block->at;

	block->size += size;
	if (!to)
		return NULL;
	if (size)
		memcpy(to, from, size);
	block->at += size;
	return to;
}

static void pack_array(struct block *block, void *array, size_t n, size_t size)
{
	void *from, *to;

	memcpy(&from, array, sizeof(from));
	if (!from)
		return;
	to = move(block, from, n * size);
	move(block, "\0\0\0\0\0\0\0", aligned(n * size) - n * size);
	if (to)
		memcpy(array, &to, sizeof(to));
}

#define PACK_ARRAY(block, array, n) pack_array(block, &(array), n, sizeof(*(array)))

static void pack_text(struct block *block, char **text)
{
	char *to = *text ? move(block, *text, strlen(*text) + 1) : NULL;

	if (to)
		*text = to;
}

/* The name of its node and what follows it. */
static void pack_endpoint(struct block *block, struct fl_endpoint *endpoint)
{
	char *to = move(block, endpoint->node_name, fl_endpoint_texts_size(endpoint));

	if (to && endpoint->node_name)
		endpoint->node_name = to;
}

/* Counted, `s` is the object itself, else the copy that is at the beginning of the block: all that
 * it points to is still where it was. */
static void pack_slice(struct block *block, struct fl_slice *s)
{
	PACK_ARRAY(block, s->endpoints, s->n_endpoints);
	PACK_ARRAY(block, s->ports, s->n_ports);
	pack_text(block, &s->ns);
	pack_text(block, &s->name);
	pack_text(block, &s->service);
	for (size_t i = 0; s->ports && i < s->n_ports; i++)
		pack_text(block, &s->ports[i].name);
	for (size_t i = 0; s->endpoints && i < s->n_endpoints; i++)
		pack_endpoint(block, &s->endpoints[i]);
}

static void pack_service(struct block *block, struct fl_service *s)
{
	PACK_ARRAY(block, s->ports, s->n_ports);
	PACK_ARRAY(block, s->external_ips, s->n_external_ips);
	PACK_ARRAY(block, s->ingress, s->n_ingress);
	PACK_ARRAY(block, s->source_ranges, s->n_source_ranges);
	pack_text(block, &s->ns);
	pack_text(block, &s->name);
	for (size_t i = 0; s->ports && i < s->n_ports; i++)
		pack_text(block, &s->ports[i].name);
}

void fl_slice_pack(struct fl_slice **slice)
{
	struct block block = {.size = aligned(sizeof(**slice))};
	struct fl_slice *packed;

	if ((*slice)->packed)
		return;
	pack_slice(&block, *slice);
	packed = malloc(block.size);
	if (!packed)
		return;
	*packed = **slice;
	packed->packed = true;
	block.at = (char *)packed + aligned(sizeof(*packed));
	pack_slice(&block, packed);
	fl_slice_free(slice);
	*slice = packed;
}

void fl_service_pack(struct fl_service **service)
{
	struct block block = {.size = aligned(sizeof(**service))};
	struct fl_service *packed;

	if ((*service)->packed)
		return;
	pack_service(&block, *service);
	packed = malloc(block.size);
	if (!packed)
		return;
	*packed = **service;
	packed->packed = true;
	block.at = (char *)packed + aligned(sizeof(*packed));
	pack_service(&block, packed);
	fl_service_free(service);
	*service = packed;
}
