/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Counting per Service: whose frontends are is known to the maps and to sync together. */
#include <errno.h>

#include "lb/agent/internal.h"
#include "lb/dp/frontend_table.h"

static bool service_of_frontend(const struct fl_frontend_key *key, const char **ret_ns,
				const char **ret_name, void *arg)
{
	const struct fl_agent *agent = arg;
	const struct fl_frontend_table table = fl_frontend_table_of(fl_dp_maps(agent->dp));
	const struct fl_service_port_info *port;
	struct fl_frontend frontend;

	if (!fl_frontend_table_get(&table, key, &frontend))
		return false;
	port = fl_sync_service_port(agent->sync, frontend.service_id);
	if (!port)
		return false;
	*ret_ns = port->ns;
	*ret_name = port->name;
	return true;
}

int fl_agent_open_traffic(struct fl_agent *agent)
{
	size_t n_old;
	struct fl_service_traffic_options options = {
		.table = agent->upkeep.flows,
		.max = agent->settings->metrics_services,
		.service = service_of_frontend,
		.arg = agent,
	};

	fl_dp_old_flows(agent->dp, &n_old);
	options.begun = n_old || fl_dp_adopted(agent->dp);
	agent->metrics.traffic = fl_service_traffic_new(&options, &agent->upkeep.sweep);
	if (!agent->metrics.traffic)
		return -ENOMEM;
	agent->metrics.sockets = fl_socket_traffic_new(&(struct fl_socket_traffic_options){
		.table = fl_socket_table_of(fl_dp_maps(agent->dp)),
		.series = fl_service_traffic_series(agent->metrics.traffic),
		.begun = fl_dp_adopted(agent->dp),
		.service = service_of_frontend,
		.arg = agent,
	});
	return agent->metrics.sockets ? 0 : -ENOMEM;
}
