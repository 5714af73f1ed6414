/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * All metrics there are, in the order in which they are written: X(ID, name, type, labels separated
 * by blanks, help). kubeproxy_ names mean what kube-proxy's do (rule 8.4: its names are kept where
 * they mean something); process_ names what every exporter's do. docs/metrics.md has the same list.
 */
#pragma once

/* clang-format off */
#define FL_METRICS(X) \
	X(BUILD, "fairlead_build_info", GAUGE, "version abi", \
	  "The version of the agent and of its map layout; always 1.") \
	X(HEALTHY, "fairlead_healthy", GAUGE, "", \
	  "Whether the node is healthy, as fairlead status says: no condition of level error.") \
	X(SYNCED, "fairlead_synced", GAUGE, "", \
	  "Whether everything could be read and applied at least once since the agent started.") \
	X(PROXY_HEALTHY, "fairlead_proxy_healthy", GAUGE, "", \
	  "Whether changes reach the datapath in time: what /livez says.") \
	X(NODE_ELIGIBLE, "fairlead_node_eligible", GAUGE, "", \
	  "Whether load balancers may send traffic to this node: /healthz is 503 if they may not.") \
	X(TAKEN_OVER, "fairlead_datapath_taken_over", GAUGE, "", \
	  "Whether this agent took over the maps of an earlier one when it started.") \
	X(CONDITIONS, "fairlead_conditions", GAUGE, "kind level", \
	  "Conditions that stand now: what is wrong, of which kind and how bad.") \
	X(DRIFT, "fairlead_drift", GAUGE, "", \
	  "Differences between the maps and what is wanted, when they were last compared.") \
	X(NOT_FORWARDED, "fairlead_not_forwarded_packets_total", COUNTER, "reason", \
	  "Packets for Services that were not forwarded, since the datapath was made.") \
	X(EVENTS, "fairlead_datapath_events_total", COUNTER, "event", \
	  "What the datapath did besides forwarding, since it was made.") \
	X(FLOWS, "fairlead_flows", GAUGE, "ip_family state", \
	  "Flows in the flow table by the state of their original direction, counted every 6 seconds, " \
	  "or every minute while none is created.") \
	X(FLOWS_UNANSWERED, "fairlead_unanswered_flows", GAUGE, "ip_family", \
	  "TCP flows that no reply was seen of yet.") \
	X(FLOW_ENTRIES, "fairlead_flow_table_entries", GAUGE, "ip_family", \
	  "Entries of the flow table that are in use; a flow has two.") \
	X(FLOW_OPEN, "fairlead_flow_table_open_entries", GAUGE, "ip_family", \
	  "Entries of the flow table that no newcomer may take, since their flow is open.") \
	X(FLOW_SLOTS, "fairlead_flow_table_slots", GAUGE, "ip_family", \
	  "Entries that the flow table has room for.") \
	X(SOURCE_PORTS, "fairlead_source_ports", GAUGE, "", \
	  "Ports for masquerading that there are towards each backend, for each of the node's addresses.") \
	X(MASQUERADE_ADDRESSES, "fairlead_masquerade_addresses", GAUGE, "ip_family", \
	  "Addresses of the node that masqueraded flows are spread over, at the device that has fewest.") \
	X(PORTS_MOST, "fairlead_backend_source_ports_used_max", GAUGE, "ip_family", \
	  "Ports for masquerading in use towards the backend that has most of them.") \
	X(PORTS_USED, "fairlead_backend_source_ports_used", GAUGE, "ip_family backend", \
	  "Ports in use towards the 20 fullest backends, of those that have a tenth of their ports in use.") \
	X(NEXT_HOPS, "fairlead_next_hops", GAUGE, "", \
	  "Next hops in the datapath's cache.") \
	X(NEXT_HOPS_MAX, "fairlead_next_hops_max", GAUGE, "", \
	  "Next hops that the datapath's cache has room for.") \
	X(MAP_ELEMENTS, "fairlead_map_elements", GAUGE, "map", \
	  "Elements of a map that are in use.") \
	X(MAP_MAX, "fairlead_map_elements_max", GAUGE, "map", \
	  "Elements that a map has room for.") \
	X(MAP_WRITES, "fairlead_map_writes_total", COUNTER, "", \
	  "Elements of service maps written or removed by this agent.") \
	X(REVISION, "fairlead_revision", GAUGE, "", \
	  "Revision of the service maps; it moves with each change.") \
	X(OBJECTS, "fairlead_objects", GAUGE, "kind", \
	  "Objects read and held.") \
	X(SERVICE_PORTS, "fairlead_service_ports", GAUGE, "ip_family", \
	  "Service ports in the maps.") \
	X(REFUSED_PORTS, "fairlead_refused_service_ports", GAUGE, "", \
	  "Service ports that are wanted and not in force, because they did not fit into a map.") \
	X(FRONTENDS, "fairlead_frontends", GAUGE, "", \
	  "Frontends in the maps: address, port and protocol.") \
	X(BACKENDS, "fairlead_backends", GAUGE, "", \
	  "Backends in the maps.") \
	X(DRAINED, "fairlead_drained_backends", GAUGE, "", \
	  "Of these, those with weight 0 wherever they are used: no new connections go to them.") \
	X(DRAINS, "fairlead_drains", GAUGE, "", \
	  "What `fairlead backend drain` keeps drained: addresses, and single ports of them.") \
	X(BACKEND_SETS, "fairlead_backend_sets", GAUGE, "", \
	  "Different lists of backends in the maps.") \
	X(STALE_FRONTENDS, "fairlead_frontends_to_judge", GAUGE, "", \
	  "Frontends that serve something else than before and whose clients are being " \
	  "looked at, twice: at 0 no UDP client is at an endpoint that its frontend does " \
	  "not serve any more.") \
	X(STALE_PASSES, "fairlead_judging_passes_total", COUNTER, "", \
	  "Passes over the tables of flows and sockets that did so.") \
	X(STALE_SECONDS, "fairlead_judging_seconds_total", COUNTER, "", \
	  "Time that these took.") \
	X(STALE_LONGEST, "fairlead_judging_delay_seconds_max", GAUGE, "", \
	  "The longest time from such a change to the end of the pass that looked at its " \
	  "clients first, since the agent started.") \
	X(DEVICE, "fairlead_device_info", GAUGE, "device role hook", \
	  "A device that is served, and how; always 1.") \
	X(SERVICE_CONNECTIONS, "fairlead_service_connections_total", COUNTER, "namespace service", \
	  "Connections to a Service that were translated packet by packet.") \
	X(SERVICE_SOCKETS, "fairlead_service_socket_connections_total", COUNTER, "namespace service", \
	  "Connections to a Service that were translated at a socket of a pod or of the node.") \
	X(SERVICE_PACKETS, "fairlead_service_packets_total", COUNTER, "namespace service direction", \
	  "Packets of the former, to the backends (request) and from them (reply).") \
	X(SERVICE_BYTES, "fairlead_service_bytes_total", COUNTER, "namespace service direction", \
	  "Bytes of these packets, with their IP headers.") \
	X(API_CURRENT, "fairlead_api_current", GAUGE, "resource", \
	  "Whether a kind of objects is followed at the API server: 0 while what is known of it may " \
	  "be out of date.") \
	X(API_REQUESTS, "fairlead_api_requests_total", COUNTER, "resource verb", \
	  "Lists and watches that were asked of the API server; each page of a list is one.") \
	X(API_EVENTS, "fairlead_api_events_total", COUNTER, "resource", \
	  "Objects and changes that these have told.") \
	X(API_FAILURES, "fairlead_api_failures_total", COUNTER, "resource", \
	  "Of these requests, those that failed and were tried again after a while.") \
	X(HEALTH_PORTS, "fairlead_health_check_node_ports", GAUGE, "", \
	  "Services with a health-check node port.") \
	X(HEALTH_ANSWERS, "fairlead_health_check_answers_total", COUNTER, "code", \
	  "Answers of health-check node ports by HTTP status.") \
	X(SCRAPE, "fairlead_last_scrape_duration_seconds", GAUGE, "", \
	  "Time of the agent's thread that the scrape before this one took.") \
	X(SYNC, "kubeproxy_sync_proxy_rules_duration_seconds", HISTOGRAM, "ip_family", \
	  "Time that one batch of changes took from planning until it was in the maps.") \
	X(PROGRAMMING, "kubeproxy_network_programming_duration_seconds", HISTOGRAM, "ip_family", \
	  "Time from what changed a Service's endpoints until the change was in the maps.") \
	X(ENDPOINTS_PENDING, "kubeproxy_sync_proxy_rules_endpoint_changes_pending", GAUGE, "", \
	  "Changes of EndpointSlices that are not in force yet.") \
	X(ENDPOINTS_TOTAL, "kubeproxy_sync_proxy_rules_endpoint_changes_total", COUNTER, "", \
	  "Changes of EndpointSlices that were seen.") \
	X(SERVICES_PENDING, "kubeproxy_sync_proxy_rules_service_changes_pending", GAUGE, "", \
	  "Changes of Services that are not in force yet.") \
	X(SERVICES_TOTAL, "kubeproxy_sync_proxy_rules_service_changes_total", COUNTER, "", \
	  "Changes of Services that were seen.") \
	X(LAST_SYNC, "kubeproxy_sync_proxy_rules_last_timestamp_seconds", GAUGE, "ip_family", \
	  "When everything that was seen was in force last.") \
	X(LAST_QUEUED, "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds", GAUGE, "ip_family", \
	  "When a change was seen last; 0: never.") \
	X(NO_LOCAL, "kubeproxy_sync_proxy_rules_no_local_endpoints_total", GAUGE, "ip_family traffic_policy", \
	  "Service ports with traffic policy Local that have endpoints, but none on this node.") \
	X(HEALTHZ, "kubeproxy_proxy_healthz_total", COUNTER, "code", \
	  "Answers of /healthz by HTTP status.") \
	X(LIVEZ, "kubeproxy_proxy_livez_total", COUNTER, "code", \
	  "Answers of /livez by HTTP status.") \
	X(PROCESS_START, "process_start_time_seconds", GAUGE, "", \
	  "Start time of the process since the epoch in seconds.") \
	X(PROCESS_CPU, "process_cpu_seconds_total", COUNTER, "", \
	  "User and system time of the process in seconds.") \
	X(PROCESS_RESIDENT, "process_resident_memory_bytes", GAUGE, "", \
	  "Resident memory of the process in bytes.") \
	X(PROCESS_VIRTUAL, "process_virtual_memory_bytes", GAUGE, "", \
	  "Virtual memory of the process in bytes.") \
	X(PROCESS_FDS, "process_open_fds", GAUGE, "", \
	  "Descriptors that the process has open.")
/* clang-format on */

enum fl_metric {
#define X(id, name, type, labels, help) FL_METRIC_##id,
	FL_METRICS(X)
#undef X
		FL_METRIC_MAX,
};
