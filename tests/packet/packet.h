/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What every file of packet tests has: the world they run in, and how a file offers its tests. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/packet/frame.h"
#include "tests/packet/net.h"
#include "tests/packet/plane.h"
#include "tests/packet/run.h"
#include "tests/packet/runner.h"
#include "tests/packet/service.h"
#include "tests/packet/talk.h"
#include "tests/packet/trial.h"

struct world {
	struct net net;
	struct plane plane[PLANES];
	bool everything; /* no selection: all tests run */
};

#define N(array) (sizeof(array) / sizeof((array)[0]))

/* One per file; main.c lists them. */
extern const struct topic frontend_topic, foreign_topic, local_topic, remote_topic,
	unroutable_topic, checksum_topic, state_topic, change_topic, pair_topic, table_topic,
	overflow_topic, filter_topic, flood_topic, snat_topic, affinity_topic, policy_topic,
	client_topic, reject_topic, rate_topic, icmp_topic, echo_topic, egress_topic, live_topic,
	offload_topic, socket_topic, datagram_topic, association_topic, direct_topic, race_topic,
	fields_topic, link_topic, size_topic, opening_topic, exhaustion_topic, slow_topic,
	fragments_topic, fragments_refused_topic, headers_topic, fragment_errors_topic,
	fragments_dsr_topic, cold_topic, cold_dsr_topic, proof_topic, reset_topic, reset_dsr_topic,
	reset_geneve_topic, own_topic, dsr_topic, unpack_topic, unpack_left_topic,
	unpack_left_geneve_topic, tcp_header_topic, mss_topic, tunnel_error_topic, dsr_geneve_topic,
	former_topic, former_geneve_topic, unpack_geneve_topic, mss_geneve_topic,
	tunnel_error_geneve_topic, fragments_dsr_geneve_topic, cold_geneve_topic, geneve_topic,
	allocations_topic, torture_topic, coverage_topic;
