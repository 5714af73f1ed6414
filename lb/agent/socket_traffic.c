/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* For each place of the sockets' table it is remembered which record was met there last. */
#include "lb/agent/socket_traffic.h"

#include <stdlib.h>

#include "lb/base/cleanup.h"

struct fl_socket_traffic {
	struct fl_socket_traffic_options options;
	uint32_t *words; /* of each place; memory of places that were never used is not touched */
	uint64_t activity;
	bool begun, looked;
};

struct fl_socket_traffic *fl_socket_traffic_new(const struct fl_socket_traffic_options *options)
{
	_cleanup_(fl_socket_traffic_free) struct fl_socket_traffic *traffic =
		calloc(1, sizeof(*traffic));

	if (!traffic)
		return NULL;
	traffic->options = *options;
	traffic->begun = options->begun;
	traffic->words = calloc(options->table.n * FL_SOCKET_WAYS + 1, sizeof(*traffic->words));
	return traffic->words ? TAKE_PTR(traffic) : NULL;
}

void fl_socket_traffic_free(struct fl_socket_traffic **traffic)
{
	if (!*traffic)
		return;
	free((*traffic)->words);
	free(*traffic);
	*traffic = NULL;
}

static void count(struct fl_socket_traffic *traffic, const struct fl_socket_record *record)
{
	const struct fl_socket_traffic_options *o = &traffic->options;
	const struct fl_frontend_key key = {
		.addr = record->frontend, .port = record->frontend_port, .proto = record->proto};
	const char *ns, *name;
	uint32_t series;

	/* what is shown to a socket was counted when it sent */
	if (record->kind == FL_SOCKET_SHOWS ||
	    !fl_service_of_asked(&key, o->service, o->arg, &ns, &name))
		return;
	series = fl_service_series_get(o->series, ns, name);
	fl_service_series_at(o->series, series)->socket_connections++;
}

void fl_socket_traffic_look(struct fl_socket_traffic *traffic, uint64_t activity)
{
	const struct fl_socket_table *table = &traffic->options.table;
	struct fl_socket_record record;

	if (traffic->looked && traffic->activity == activity)
		return;
	for (size_t slot = 0; slot < table->n * FL_SOCKET_WAYS; slot++) {
		const uint32_t word =
			__atomic_load_n(&fl_socket_at(table, slot)->word, __ATOMIC_RELAXED);

		/* what is being written is met the next time */
		if (word == traffic->words[slot] || !fl_socket_copy(table, slot, &record))
			continue;
		traffic->words[slot] = record.word;
		if (!traffic->begun)
			count(traffic, &record);
	}
	traffic->begun = false;
	traffic->looked = true;
	traffic->activity = activity;
}
