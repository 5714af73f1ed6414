/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* FlowList and FlushResult. */
#include "lb/api/flow_filter.h"
#include "lb/api/render.h"
#include "lb/base/json_write.h"

struct list {
	const struct fl_view *view;
	const struct fl_flow_filter *filter;
	struct fl_json *json;
	size_t matching;
	uint32_t limit;
};

static void write_peer(const char *key, const struct fl_ip *ip, uint16_t port, struct fl_json *json)
{
	char buf[FL_IP_PORT_STRLEN];

	fl_json_member_string(json, key, fl_ip_port_format(ip, port, buf));
}

static int write_flow(const struct fl_flow *flow, void *arg)
{
	struct list *list = arg;
	struct fl_json *json = list->json;
	const struct fl_view_frontend *frontend;
	char ref[FL_SERVICE_REF_MAX];

	if (!fl_flow_filter_matches(list->filter, list->view, flow) ||
	    list->matching++ >= list->limit)
		return 0;
	frontend = fl_view_find(list->view, &flow->frontend, flow->frontend_port, flow->proto);
	fl_json_object_begin(json);
	fl_json_member_string(json, "protocol", fl_proto_name(flow->proto));
	fl_json_member_string(json, "family", fl_family_name(flow->family));
	fl_json_member_string(json, "state", fl_flow_state_name(flow->state));
	write_peer("client", &flow->client, flow->client_port, json);
	write_peer("frontend", &flow->frontend, flow->frontend_port, json);
	fl_json_member_string(json, "service",
			      frontend ? fl_view_ref(list->view, frontend->value.service_id, ref)
				       : NULL);
	write_peer("source", &flow->source, flow->source_port, json);
	write_peer("backend", &flow->backend, flow->backend_port, json);
	fl_json_member_uint(json, "backendId", flow->backend_id);
	fl_json_member_uint(json, "idleSeconds", flow->idle_jiffies / list->view->hz);
	fl_json_member_bool(json, "masqueraded", flow->flags & FL_FLOW_SNAT);
	fl_json_member_bool(json, "tunnelled", fl_flow_is_tunnelled(flow->flags));
	fl_json_member_bool(json, "kernel", flow->flags & FL_FLOW_KERNEL);
	fl_json_member_bool(json, "paired", flow->reply_known);
	fl_json_member_uint(json, "packets", flow->packets);
	fl_json_member_uint(json, "bytes", flow->bytes);
	fl_json_member_uint(json, "replyPackets", flow->reply_packets);
	fl_json_member_uint(json, "replyBytes", flow->reply_bytes);
	fl_json_object_end(json);
	return 0;
}

int fl_render_flows(const struct fl_view *view, const struct fl_flow_filter *filter,
		    struct fl_json *json)
{
	struct fl_flow_table table = fl_flow_table_of(view->maps);
	struct list list = {
		.view = view,
		.filter = filter,
		.json = json,
		.limit = filter->limit ? filter->limit : FL_FLOW_LIMIT_DEFAULT,
	};

	fl_render_begin(json, "FlowList");
	fl_json_key(json, "items");
	fl_json_array_begin(json);
	fl_flow_walk(&table, view->now, write_flow, &list);
	fl_json_array_end(json);
	fl_json_member_uint(json, "total", list.matching);
	fl_json_object_end(json);
	return 0;
}

void fl_render_flush(size_t flushed, struct fl_json *json)
{
	fl_render_begin(json, "FlushResult");
	fl_json_member_uint(json, "flushed", flushed);
	fl_json_object_end(json);
}
