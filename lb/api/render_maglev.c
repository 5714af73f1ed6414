/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * MaglevList: how the lookup tables share out their positions. The digest of a table is made of the
 * backends' addresses at each position, so two nodes that agree show the same one although their
 * ids differ (ARCHITECTURE.md).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "lb/api/render.h"
#include "lb/base/cleanup.h"
#include "lb/base/json_write.h"

/* A list cannot be longer: ordinals have 16 bits. */
#define MAX_BACKENDS 65536

struct backend_identity {
	struct fl_addr addr;
	__be16 port;
	__u8 proto, pad;
};

static uint64_t table_digest(const struct fl_view *view, const struct fl_list *list)
{
	XXH64_state_t *hash = XXH64_createState();
	uint64_t digest;

	if (!hash)
		return 0;
	XXH64_reset(hash, 0);
	for (uint32_t pos = 0; pos < list->lut_len; pos++) {
		uint32_t ordinal = fl_view_list_ordinal(view, list, pos);
		const struct fl_backend *backend = NULL;
		struct backend_identity identity = {0};

		if (ordinal == UINT32_MAX)
			break;
		backend = fl_view_backend(view, fl_view_list_backend(view, list, ordinal));
		if (backend) {
			identity.addr = backend->addr;
			identity.port = backend->port;
			identity.proto = backend->proto;
		}
		XXH64_update(hash, &identity, sizeof(identity));
	}
	digest = XXH64_digest(hash);
	XXH64_freeState(hash);
	return digest;
}

static int count_positions(const struct fl_view *view, const struct fl_list *list,
			   uint32_t **ret_counts)
{
	uint32_t *counts = calloc(list->count, sizeof(*counts));

	if (!counts)
		return -ENOMEM;
	for (uint32_t pos = 0; pos < list->lut_len; pos++) {
		uint32_t ordinal = fl_view_list_ordinal(view, list, pos);

		if (ordinal == UINT32_MAX)
			break;
		if (ordinal < list->count)
			counts[ordinal]++;
	}
	*ret_counts = counts;
	return 0;
}

static int write_list(const struct fl_view *view, const struct fl_view_service *service,
		      const char *list_name, const struct fl_list *list, struct fl_json *json)
{
	_cleanup_free_ uint32_t *counts = NULL;
	char ref[FL_SERVICE_REF_MAX], address[FL_IP_PORT_STRLEN];
	uint64_t digest;

	if (!list->count || list->count > MAX_BACKENDS)
		return 0;
	if (count_positions(view, list, &counts))
		return -ENOMEM;
	digest = table_digest(view, list);
	fl_view_ref(view, service->id, ref);
	for (uint32_t i = 0, share; i < list->count; i += share) {
		uint32_t id = fl_view_list_backend(view, list, i);
		const struct fl_backend *backend = fl_view_backend(view, id);
		struct fl_ip ip;

		share = fl_view_list_share(view, list, i);
		if (!backend)
			continue;
		ip = fl_ip_from_addr(&backend->addr);
		fl_json_object_begin(json);
		fl_json_member_string(json, "service", ref);
		fl_json_member_string(json, "protocol", fl_proto_name(service->first->key.proto));
		fl_json_member_string(json, "family",
				      fl_family_name(fl_frontend_family(&service->first->key)));
		fl_json_member_string(json, "list", list_name);
		fl_json_member_uint(json, "length", list->lut_len);
		fl_json_key(json, "digest");
		fl_json_stringf(json, "%016llx", (unsigned long long)digest);
		fl_json_member_string(json, "backend",
				      fl_ip_port_format(&ip, ntohs(backend->port), address));
		fl_json_member_uint(json, "backendId", id);
		fl_json_member_uint(json, "weight", share);
		fl_json_member_uint(json, "positions", counts[i]);
		fl_json_key(json, "share");
		fl_json_stringf(json, "%.2f%%",
				list->lut_len ? 100.0 * counts[i] / list->lut_len : 0.0);
		fl_json_object_end(json);
	}
	return 0;
}

int fl_render_maglev(const struct fl_view *view, const struct fl_service_filter *filter,
		     struct fl_json *json, size_t *ret_n)
{
	_cleanup_free_ struct fl_view_service *services = NULL;
	size_t n;
	int rc;

	rc = fl_view_services(view, filter, &services, &n);
	if (rc)
		return rc;
	fl_render_begin(json, "MaglevList");
	fl_json_key(json, "items");
	fl_json_array_begin(json);
	for (size_t i = 0; i < n; i++) {
		if (write_list(view, &services[i], "cluster", &services[i].cluster, json) ||
		    write_list(view, &services[i], "local", &services[i].local, json))
			return -ENOMEM;
	}
	fl_json_array_end(json);
	fl_json_object_end(json);
	*ret_n = n;
	return 0;
}
