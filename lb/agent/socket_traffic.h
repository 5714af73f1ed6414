/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Connections that the socket hooks have translated, per Service, made of the records that they
 * write: one that was not there at the last look is a connection, or the first datagram of an
 * unconnected socket to that frontend. Nothing is counted by the hooks, and no packet of these is
 * seen. Of records that take one another's place between two looks the last one counts.
 */
#pragma once

#include "conntrack/sockets.h"
#include "lb/agent/service_traffic.h"

struct fl_socket_traffic;

struct fl_socket_traffic_options {
	struct fl_socket_table table;	  /* memory is borrowed */
	struct fl_service_series *series; /* borrowed */
	bool begun; /* records of the first look have been counted by an earlier agent */
	fl_service_of_frontend *service;
	void *arg;
};

/* NULL: no memory. */
struct fl_socket_traffic *fl_socket_traffic_new(const struct fl_socket_traffic_options *options);
void fl_socket_traffic_free(struct fl_socket_traffic **traffic);

/* Look at all records, unless nothing can have been written: `activity` is what the hooks have done
 * so far, and the same as the last time. */
void fl_socket_traffic_look(struct fl_socket_traffic *traffic, uint64_t activity);
