/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The tables of names. */
#include "lb/model/names.h"

#include <assert.h>
#include <netinet/in.h>

#include "bpf/abi/fairlead.h"
#include "lb/model/plan.h"

#define N_WORDS(table) (sizeof(table) / sizeof((table)[0]) - 1)

const struct fl_word fl_family_words[] = {
	FL_FAMILY_WORDS,
	{NULL, 0},
};
static_assert(N_WORDS(fl_family_words) == FL_FAMILIES, "a word for each family");

const struct fl_word fl_proto_words[] = {
	{"TCP", IPPROTO_TCP},
	{"UDP", IPPROTO_UDP},
	{"SCTP", IPPROTO_SCTP},
	{NULL, 0},
};

const struct fl_word fl_service_type_words[] = {
	{"ClusterIP", FL_SERVICE_CLUSTER_IP},
	{"NodePort", FL_SERVICE_NODE_PORT},
	{"LoadBalancer", FL_SERVICE_LOAD_BALANCER},
	{"ExternalName", FL_SERVICE_EXTERNAL_NAME},
	{NULL, 0},
};

const struct fl_word fl_traffic_policy_words[] = {
	{"Cluster", false},
	{"Local", true},
	{NULL, 0},
};

const struct fl_word fl_forwarding_words[] = {
	{"snat", FL_FORWARDING_SNAT},
	{"dsr", FL_FORWARDING_DSR},
	{"hybrid", FL_FORWARDING_HYBRID},
	{NULL, 0},
};

const struct fl_word fl_dispatch_words[] = {
	{"ipip", FL_DISPATCH_IPIP},
	{"geneve", FL_DISPATCH_GENEVE},
	{NULL, 0},
};

const struct fl_word fl_affinity_words[] = {
	{"None", false},
	{"ClientIP", true},
	{NULL, 0},
};

const struct fl_word fl_frontend_type_words[] = {
	{"none", FL_FRONTEND_NONE},
	{"ClusterIP", FL_FRONTEND_CLUSTER_IP},
	{"ExternalIP", FL_FRONTEND_EXTERNAL_IP},
	{"LoadBalancer", FL_FRONTEND_LOAD_BALANCER},
	{"NodePort", FL_FRONTEND_NODE_PORT},
	{"VIP", FL_FRONTEND_VIP},
	{"address", FL_FRONTEND_ADDRESS},
	{NULL, 0},
};
static_assert(N_WORDS(fl_frontend_type_words) == FL_FRONTEND_TYPES, "a word for each type");
static_assert((int)FL_PLAN_CLUSTER_IP == (int)FL_FRONTEND_CLUSTER_IP &&
		      (int)FL_PLAN_EXTERNAL_IP == (int)FL_FRONTEND_EXTERNAL_IP &&
		      (int)FL_PLAN_LOAD_BALANCER == (int)FL_FRONTEND_LOAD_BALANCER &&
		      (int)FL_PLAN_NODE_PORT == (int)FL_FRONTEND_NODE_PORT,
	      "plans and maps use the same numbers for types");

const struct fl_word fl_service_verdict_words[] = {
	{"none", FL_VERDICT_NONE},
	{"forward", FL_VERDICT_FORWARD},
	{"drop", FL_VERDICT_DROP},
	{"reject", FL_VERDICT_REJECT},
	{NULL, 0},
};
static_assert((int)FL_PLAN_NONE == (int)FL_VERDICT_NONE &&
		      (int)FL_PLAN_FORWARD == (int)FL_VERDICT_FORWARD &&
		      (int)FL_PLAN_DROP == (int)FL_VERDICT_DROP &&
		      (int)FL_PLAN_REJECT == (int)FL_VERDICT_REJECT,
	      "plans and maps use the same numbers for verdicts");

const struct fl_word fl_flow_state_words[] = {
	[FL_FLOW_FREE] = {"free", FL_FLOW_FREE},
	[FL_FLOW_BUSY] = {"busy", FL_FLOW_BUSY},
	[FL_FLOW_NEW] = {"new", FL_FLOW_NEW},
	[FL_FLOW_REPLIED] = {"replied", FL_FLOW_REPLIED},
	[FL_FLOW_ESTABLISHED] = {"established", FL_FLOW_ESTABLISHED},
	[FL_FLOW_HALF_CLOSED] = {"half-closed", FL_FLOW_HALF_CLOSED},
	[FL_FLOW_TIME_WAIT] = {"time-wait", FL_FLOW_TIME_WAIT},
	[FL_FLOW_CLOSING] = {"closing", FL_FLOW_CLOSING},
	{NULL, 0},
};
static_assert(N_WORDS(fl_flow_state_words) == FL_FLOW_STATES, "a word for each state");

const char *fl_family_name(enum fl_family family)
{
	return fl_word_of(fl_family_words, family);
}

const char *fl_proto_name(uint8_t proto)
{
	return fl_word_of(fl_proto_words, proto);
}

bool fl_proto_is_served(uint8_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP;
}

const char *fl_frontend_type_name(uint8_t type)
{
	return fl_word_of(fl_frontend_type_words, type);
}

const char *fl_verdict_name(uint8_t verdict)
{
	return fl_word_of(fl_service_verdict_words, verdict);
}

const char *fl_frontend_verdict_name(uint8_t proto, uint8_t verdict)
{
	if (verdict == FL_VERDICT_NONE)
		return NULL;
	return fl_proto_is_served(proto) ? fl_verdict_name(verdict) : "unserved";
}

const char *fl_forwarding_name(bool dsr)
{
	return fl_word_of(fl_forwarding_words, dsr ? FL_FORWARDING_DSR : FL_FORWARDING_SNAT);
}

const char *fl_traffic_policy_name(bool local)
{
	return fl_word_of(fl_traffic_policy_words, local);
}

const char *fl_affinity_name(bool client_ip)
{
	return fl_word_of(fl_affinity_words, client_ip);
}

const char *fl_flow_state_name(uint32_t state)
{
	return fl_word_of(fl_flow_state_words, (int)state);
}
