/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What families, protocols, Service types and the like are called: in manifests, in the JSON of the
 * API and the CLI, in messages. Decoder and printers read the same tables.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lb/base/ip.h"
#include "lb/base/words.h"

/* The rows of fl_family_words, for tables that have more of them. */
#define FL_FAMILY_WORDS                                                                            \
	{"IPv4", FL_IPV4},                                                                         \
	{                                                                                          \
		"IPv6", FL_IPV6                                                                    \
	}

extern const struct fl_word fl_family_words[];		/* enum fl_family */
extern const struct fl_word fl_proto_words[];		/* IPPROTO_*: those a port may have */
extern const struct fl_word fl_service_type_words[];	/* enum fl_service_type */
extern const struct fl_word fl_traffic_policy_words[];	/* false: Cluster; true: Local */
extern const struct fl_word fl_forwarding_words[];	/* enum fl_forwarding, as it is set */
extern const struct fl_word fl_dispatch_words[];	/* enum fl_dispatch */
extern const struct fl_word fl_affinity_words[];	/* false: None; true: ClientIP */
extern const struct fl_word fl_frontend_type_words[];	/* enum fl_frontend_type */
extern const struct fl_word fl_service_verdict_words[]; /* enum fl_service_verdict */
extern const struct fl_word fl_flow_state_words[];	/* enum fl_flow_state, in its order */

const char *fl_family_name(enum fl_family family); /* "IPv4", "IPv6" */
const char *fl_proto_name(uint8_t proto);	   /* "TCP", "UDP", "SCTP", else "?" */
/* Whether the datapath balances it: of packets of others (SCTP) it takes no notice. */
bool fl_proto_is_served(uint8_t proto);
/* enum fl_frontend_type, or enum fl_plan_frontend_type, which has the same numbers */
const char *fl_frontend_type_name(uint8_t type);
/* enum fl_service_verdict, or enum fl_plan_verdict, which has the same numbers */
const char *fl_verdict_name(uint8_t verdict);
/* The same of a frontend of that protocol, "unserved" if it is not balanced; NULL for
 * FL_VERDICT_NONE. */
const char *fl_frontend_verdict_name(uint8_t proto, uint8_t verdict);
const char *fl_forwarding_name(bool dsr);
const char *fl_traffic_policy_name(bool local);
const char *fl_affinity_name(bool client_ip);
const char *fl_flow_state_name(uint32_t state); /* enum fl_flow_state */
