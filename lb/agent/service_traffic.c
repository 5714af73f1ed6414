/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* For each entry of the flow table it is remembered what it has counted when it was last met. */
#include "lb/agent/service_traffic.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"

/* Memory of entries that were never used is not touched, and so costs nothing. */
struct mark {
	uint32_t word;	 /* generation << 8 | bytes / 2^32; 0: never met */
	uint32_t series; /* see fl_service_series_get(); NOBODY */
	uint32_t packets, bytes_low;
};

#define NOBODY UINT32_MAX
#define BYTES_MASK ((1ULL << 40) - 1) /* they wrap there */

struct fl_service_traffic {
	struct fl_service_traffic_options options;
	struct fl_service_series *series;
	struct mark *marks[FL_FAMILIES];
	bool begun[FL_FAMILIES]; /* the first pass is not over */
};

bool fl_service_of_asked(const struct fl_frontend_key *asked, fl_service_of_frontend *service,
			 void *arg, const char **ret_ns, const char **ret_name)
{
	struct fl_frontend_key key = *asked;
	struct fl_ip ip;

	memcpy(ip.b, &asked->addr, sizeof(ip.b));
	if (service(&key, ret_ns, ret_name, arg))
		return true;
	/* 2.19: a Service's own address and port beat a node port */
	memset(&key.addr, 0, sizeof(key.addr));
	if (fl_ip_family(&ip) == FL_IPV4)
		key.addr.w[2] = htonl(0xffff);
	return service(&key, ret_ns, ret_name, arg);
}

static bool find_service(const struct fl_service_traffic *traffic, const struct fl_met *met,
			 const char **ret_ns, const char **ret_name)
{
	const struct fl_service_traffic_options *o = &traffic->options;
	struct fl_frontend_key key = {.proto = met->head->proto};
	struct fl_ip frontend;
	uint16_t port;

	if (!fl_flow_frontend(&o->table, met, &frontend, &port))
		return false;
	key.port = htons(port);
	memcpy(&key.addr, frontend.b, sizeof(key.addr));
	return fl_service_of_asked(&key, o->service, o->arg, ret_ns, ret_name);
}

static uint32_t series_of(struct fl_service_traffic *traffic, const struct fl_met *met)
{
	const char *ns, *name;

	/* what the kernel translates was counted by nobody from its beginning */
	if (met->head->flags & FL_FLOW_KERNEL || !find_service(traffic, met, &ns, &name))
		return NOBODY;
	return fl_service_series_get(traffic->series, ns, name);
}

static void met(const struct fl_met *met, void *arg)
{
	struct fl_service_traffic *traffic = arg;
	const struct fl_flow_head *head = met->head;
	struct mark *mark = &traffic->marks[met->family][met->slot];
	const uint32_t generation = fl_flow_generation(head->word);
	const bool reply = head->flags & FL_FLOW_IS_REPLY, found = mark->word >> 8 != generation;
	struct mark before = *mark;
	struct fl_metrics_service *service;
	uint64_t bytes;

	if (found)
		before = (struct mark){.series = series_of(traffic, met)};
	*mark = (struct mark){.word = generation << 8 | head->bytes_high,
			      .series = before.series,
			      .packets = head->packets,
			      .bytes_low = head->bytes_low};
	if (before.series == NOBODY || (found && traffic->begun[met->family]))
		return;
	bytes = fl_flow_bytes(head) - ((uint64_t)(uint8_t)before.word << 32 | before.bytes_low);
	service = fl_service_series_at(traffic->series, before.series);
	service->connections += found && !reply;
	service->packets[reply] += head->packets - before.packets;
	service->bytes[reply] += bytes & BYTES_MASK;
}

static void passed(enum fl_family family, void *arg)
{
	((struct fl_service_traffic *)arg)->begun[family] = false;
}

struct fl_service_traffic *fl_service_traffic_new(const struct fl_service_traffic_options *options,
						  struct fl_sweep *sweep)
{
	_cleanup_(fl_service_traffic_free) struct fl_service_traffic *traffic =
		calloc(1, sizeof(*traffic));
	const size_t buckets[] = {
		[FL_IPV4] = options->table.n_flows4, [FL_IPV6] = options->table.n_flows6};

	if (!traffic)
		return NULL;
	traffic->options = *options;
	traffic->series = fl_service_series_new(options->max);
	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++) {
		traffic->begun[family] = options->begun;
		traffic->marks[family] =
			calloc(buckets[family] * FL_FLOW_WAYS + 1, sizeof(struct mark));
		if (!traffic->marks[family])
			return NULL;
	}
	if (!traffic->series)
		return NULL;
	fl_sweep_watch(sweep, &(struct fl_sweep_watcher){met, passed, traffic});
	return TAKE_PTR(traffic);
}

void fl_service_traffic_free(struct fl_service_traffic **traffic)
{
	if (!*traffic)
		return;
	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++)
		free((*traffic)->marks[family]);
	fl_service_series_free(&(*traffic)->series);
	free(*traffic);
	*traffic = NULL;
}

struct fl_service_series *fl_service_traffic_series(struct fl_service_traffic *traffic)
{
	return traffic->series;
}
