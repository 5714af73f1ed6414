/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What can happen to a packet or a flow, with its counters: the map fl_stats. */
#pragma once

/*
 * One list makes the enum, the token (metric label, JSON) and the text. X(NAME, token, text).
 * "drop" rows are packets of ours that were not forwarded; "reject" rows were answered by ICMP,
 * "reset" rows by TCP.
 */
#define FL_REASONS(X)                                                                              \
	X(NONE, "none", "nothing happened")                                                        \
	X(NO_LOCAL_ENDPOINT, "no-local-endpoint",                                                  \
	  "traffic policy Local and no endpoint on this node")                                     \
	X(SOURCE_RANGE, "source-range", "source is not in loadBalancerSourceRanges")               \
	X(NO_SOURCE_PORT, "no-source-port", "no free source port towards this backend")            \
	X(FLOW_TABLE_FULL, "flow-table-full", "only open flows in the candidate buckets")          \
	X(NO_FLOW, "no-flow", "a TCP segment or ICMP error for a service, of no known connection") \
	X(NEW_FLOW_RATE, "new-flow-rate", "new flows above the rate limit of this CPU")            \
	X(TTL_EXCEEDED, "ttl-exceeded", "TTL or hop limit is used up")                             \
	X(NO_ROUTE, "no-route", "no route to the backend or client")                               \
	X(TOO_BIG, "too-big", "packet exceeds the MTU of the way out")                             \
	X(NO_BACKEND, "no-backend",                                                                \
	  "the chosen backend is not there (agent and datapath disagree)")                         \
	X(NO_MASQUERADE_ADDRESS, "no-masquerade-address", "device has no address of this family")  \
	X(REWRITE_FAILED, "rewrite-failed", "the kernel refused a change of the packet")           \
	X(SLOW_PATH, "slow-path", "the program for packets of its kind could not be run")          \
	X(FRONTEND_SOURCE, "frontend-source",                                                      \
	  "the source is a frontend's: answers would go round for ever")                           \
	X(FRAGMENT_MALFORMED, "fragment-malformed", "a fragment that no datagram can have")        \
	X(FRAGMENT_TINY, "fragment-tiny",                                                          \
	  "a fragment that has but a part of the TCP or UDP header")                               \
	X(FRAGMENT_OVERLAP, "fragment-overlap",                                                    \
	  "a fragment with bytes that its datagram has had, or that lie behind its end")           \
	X(FRAGMENT_ALONE, "fragment-alone", "a fragment whose first one did not come in time")     \
	X(FRAGMENT_REFUSED, "fragment-refused", "a fragment whose first one was refused")          \
	X(TUNNEL_SOURCE, "tunnel-source",                                                          \
	  "encapsulated for a service, by an address that is no node's")                           \
	X(TUNNEL_FRONTEND, "tunnel-frontend",                                                      \
	  "encapsulated by a node, for no service or backend that is here")                        \
	X(TUNNEL_CONTENT, "tunnel-content",                                                        \
	  "encapsulated by a node, but no whole TCP or UDP packet that may come from outside")     \
	X(REJECT_NO_ENDPOINT, "reject-no-endpoint",                                                \
	  "the service has no endpoint: port unreachable")                                         \
	X(REJECT_UNKNOWN_PORT, "reject-unknown-port",                                              \
	  "no service has this port of a cluster IP: port unreachable")                            \
	X(REJECT_RATE, "reject-rate", "an ICMP answer was due but is rate limited")                \
	X(RESET_BACKEND_GONE, "reset-backend-gone", "the connection's backend is gone: TCP reset")

enum fl_reason {
#define X(name, token, text) FL_REASON_##name,
	FL_REASONS(X)
#undef X
		FL_REASON_MAX,
};

/* Further counters of the per-CPU array fl_stats, after the reasons. */
#define FL_COUNTERS(X)                                                                             \
	X(FLOW_NEW, "flows-created", "flows created")                                              \
	X(FLOW_EVICTED, "flows-evicted",                                                           \
	  "flows that proved nothing, or were idle or closed, evicted by newer ones")              \
	X(FLOW_EXPIRED, "flows-expired", "expired flows replaced in place")                        \
	X(FLOW_RESTEERED, "flows-resteered",                                                       \
	  "UDP flows given another backend because theirs went")                                   \
	X(FLOW_RESTARTED, "flows-restarted", "SYN on a flow that is over")                         \
	X(FLOW_UNSERVED_EXIT, "flows-unserved-exit",                                               \
	  "flows that left unmasqueraded by a device that is not served")                          \
	X(FLOW_TUNNELLED, "flows-tunnelled",                                                       \
	  "flows whose packets go to the backend's node encapsulated (DSR)")                       \
	X(FLOW_TAKEN_OVER, "flows-taken-over",                                                     \
	  "of these, TCP connections that did not begin here")                                     \
	X(SEGMENT_PASSED_ON, "segments-passed-on",                                                 \
	  "TCP segments that came encapsulated and went on to a node that may know them")          \
	X(FLOW_UNPACKED, "flows-unpacked", "flows that came encapsulated from another node")       \
	X(FIB_LOOKUP, "fib-lookups", "next hops looked up in the kernel's tables")                 \
	X(TO_TC, "handed-to-tc", "packets that XDP left to the tc program")                        \
	X(ICMP_ERROR, "icmp-errors", "ICMP errors about flows, translated")                        \
	X(ECHO, "echo-answers", "echo requests to addresses of services, answered")                \
	X(FRAGMENT, "fragments", "fragments for services, and of their replies, translated")       \
	X(FRAGMENT_HELD, "fragments-held", "fragments that had to wait for the first one")         \
	X(SOCKET_CONNECT, "socket-connects", "connect() calls translated")                         \
	X(SOCKET_SEND, "socket-sends", "unconnected sends translated")                             \
	X(SOCKET_REFUSED, "socket-refused", "connect() or send calls refused")                     \
	X(SOCKET_BACKEND_GONE, "socket-backend-gone",                                              \
	  "sends of connected UDP sockets that failed, since their backend is gone")

enum fl_counter {
	FL_COUNTER_BASE = FL_REASON_MAX - 1,
#define X(name, token, text) FL_COUNTER_##name,
	FL_COUNTERS(X)
#undef X
		FL_COUNTER_MAX,
};
/* map fl_stats: PERCPU_ARRAY of __u64, FL_COUNTER_MAX elements */
