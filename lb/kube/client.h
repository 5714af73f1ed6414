/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Requests to the API server, as many at a time as one likes, without a loop of its own: there is
 * one descriptor to wait on. Tokens, certificates and keys are read again for each request or
 * connection, since they are rotated while we run (11.4, 11.5).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lb/base/clock.h"
#include "lb/base/err.h"
#include "lb/kube/access.h"

#define FL_KUBE_ERROR_BODY_MAX 16384 /* of the answer to a request that failed */

struct fl_kube_client;
struct fl_kube_request;

enum fl_kube_end {
	FL_KUBE_ANSWERED,    /* in full, whatever the status */
	FL_KUBE_CUT,	     /* it began, and then the connection ended or stood still */
	FL_KUBE_UNREACHABLE, /* no answer: no connection, TLS or a proxy that fails, nonsense */
	FL_KUBE_FAILED,	     /* it was never sent: bad credentials here */
	FL_KUBE_STOPPED,     /* by call->body */
};

struct fl_kube_reply {
	enum fl_kube_end end;
	long status; /* 0: there was no answer */
	uint64_t retry_after_ms;
	const char *body; /* of an answer that is not 200, as far as it fits; never NULL */
	size_t body_len;
	const char *why; /* words for all but FL_KUBE_ANSWERED; never NULL */
	bool stalled;	 /* CUT or UNREACHABLE, since nothing was heard for `idle_ms` */
};

/* `path`, with its query, and what is sent are copied. */
struct fl_kube_call {
	const char *path;
	const char *method;	 /* NULL: GET */
	const char *send, *type; /* what is sent with it, and its media type; NULL: nothing */
	uint64_t idle_ms;	 /* without a byte for so long, the connection is taken for dead */
	/* An answer of 200 has begun; may be NULL. */
	void (*begun)(void *arg);
	/* Some of its text; may be NULL. Non-zero stops it. Neither starts or cancels requests. */
	int (*body)(const char *data, size_t len, void *arg);
	/* The end; the request is gone. */
	void (*done)(const struct fl_kube_reply *reply, void *arg);
	void *arg;
};

/* `access` is borrowed. -ENOMEM, or -errno with words. */
int fl_kube_client_new(const struct fl_kube_access *access, struct fl_kube_client **ret_client,
		       struct fl_err *err);
/* Requests that are under way end without a word. */
void fl_kube_client_free(struct fl_kube_client **client);
/* Wait for this to become readable, then call fl_kube_client_handle(). Borrowed. */
int fl_kube_client_fd(const struct fl_kube_client *client);
/* Do what can be done without waiting. */
void fl_kube_client_handle(struct fl_kube_client *client);
/* Make the descriptor readable at this time at the latest; ns 0: never mind. */
void fl_kube_client_wake(struct fl_kube_client *client, struct fl_mono at);

/*
 * 11.8: where else the same API server is, each as "ADDRESS:PORT". When the place in use gives no
 * answer, or one that shows it to be of no use (401, 5xx), the next one is tried, in turn: the
 * configured server, the others of `access`, and these. A certificate must be good for the host in
 * the URL, and that of a place which was learnt for FL_KUBE_OWN_NAME; or for tls_server_name,
 * wherever it is. An empty list is not believed. Ignored where nothing would prove that it is our
 * server. 0 or -ENOMEM.
 */
#define FL_KUBE_OWN_NAME "kubernetes.default.svc"
int fl_kube_client_learn(struct fl_kube_client *client, const char *const *places, size_t n);

/* 0 or -ENOMEM. Everything else is told by call->done, later. */
int fl_kube_ask(struct fl_kube_client *client, const struct fl_kube_call *call,
		struct fl_kube_request **ret_request);
/* From now on; also from call->body. */
void fl_kube_set_idle(struct fl_kube_request *request, uint64_t idle_ms);
/* Without a word to call->done. */
void fl_kube_cancel(struct fl_kube_request **request);
