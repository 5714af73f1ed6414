/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Inside of client.h: one request as libcurl has it.
 *
 *	client.c    the descriptors and times that libcurl waits for
 *	request.c   one request, and the credentials it carries
 */
#pragma once

#include <curl/curl.h>

#include "lb/base/strings.h"
#include "lb/kube/client.h"

#define FL_KUBE_WHERE_MAX 80 /* for words: the rest is cut */

struct fl_kube_request {
	struct fl_kube_client *client;
	struct fl_kube_request *prev, *next;
	struct fl_kube_call call;
	CURL *easy;
	struct curl_slist *headers, *connect_to;
	char *url;
	char where[FL_KUBE_WHERE_MAX]; /* it was sent, other than to access->server; "" */
	unsigned int moves;	       /* of the client, when it was sent */
	struct fl_mono heard;	       /* when there was a sign of life */
	bool begun, stopped, stalled;
	bool broken; /* it was never sent */
	char *body;  /* of an answer that is no 200 */
	size_t body_len;
	char error[CURL_ERROR_SIZE];
	char why[CURL_ERROR_SIZE + FL_KUBE_WHERE_MAX + 2];
};

struct fl_kube_client {
	const struct fl_kube_access *access;
	CURLM *multi;
	int epoll, timer;
	struct fl_mono curl_due, wake; /* ns 0: never */
	struct fl_kube_request *requests;
	/*
	 * Where the API server may be: access->server, access->other_servers, and what was learnt,
	 * in this order; `place` is the one in use.
	 */
	struct fl_strings learnt;
	size_t place;
	unsigned int moves; /* how often it was another */
	char *token;	    /* as it was read last */
	bool fresh;	    /* the next request is not sent on a connection that is open */
};

/* A handle for the call, ready to be added. 0 or -ENOMEM. */
int fl_kube_request_new(struct fl_kube_client *client, const struct fl_kube_call *call,
			struct fl_kube_request **ret_request);
void fl_kube_request_free(struct fl_kube_request **request);
/* What libcurl says at its end, in our words; borrowed from the request. */
struct fl_kube_reply fl_kube_request_reply(struct fl_kube_request *request, CURLcode code);
