/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * libcurl's multi interface behind one descriptor: its sockets and one timer in an epoll set. The
 * timer also wakes for connections that stand still, and for whoever asked to be woken.
 */
#include "lb/kube/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "lb/base/cleanup.h"
#include "lb/kube/internal.h"

#define ROUNDS 16 /* in one go: what is left keeps the descriptor readable */
#define EVENTS 16

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	const struct fl_kube_client *client = arg;
	struct epoll_event event = {.data.fd = fd};

	if (what == CURL_POLL_REMOVE) {
		epoll_ctl(client->epoll, EPOLL_CTL_DEL, fd, NULL);
		return 0;
	}
	event.events =
		(what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
	if (epoll_ctl(client->epoll, EPOLL_CTL_MOD, fd, &event) && errno == ENOENT &&
	    epoll_ctl(client->epoll, EPOLL_CTL_ADD, fd, &event))
		return -1;
	return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *arg)
{
	struct fl_kube_client *client = arg;

	client->curl_due = (struct fl_mono){0};
	if (timeout_ms >= 0)
		client->curl_due = fl_mono_plus_ms(fl_mono_now(), (uint64_t)timeout_ms);
	return 0;
}

static void earlier(struct fl_mono *due, struct fl_mono other)
{
	if (other.ns && (!due->ns || other.ns < due->ns))
		*due = other;
}

static struct fl_mono stalls_at(const struct fl_kube_request *request)
{
	if (request->broken)
		return request->heard;
	return fl_mono_plus_ms(request->heard, request->call.idle_ms);
}

static void arm(struct fl_kube_client *client)
{
	struct fl_mono due = client->curl_due;
	struct itimerspec spec = {0};

	earlier(&due, client->wake);
	for (const struct fl_kube_request *r = client->requests; r; r = r->next)
		earlier(&due, stalls_at(r));
	spec.it_value.tv_sec = (time_t)(due.ns / FL_NSEC_PER_SEC);
	spec.it_value.tv_nsec = (long)(due.ns % FL_NSEC_PER_SEC);
	timerfd_settime(client->timer, TFD_TIMER_ABSTIME, &spec, NULL);
}

int fl_kube_client_new(const struct fl_kube_access *access, struct fl_kube_client **ret_client,
		       struct fl_err *err)
{
	_cleanup_(fl_kube_client_free) struct fl_kube_client *client = calloc(1, sizeof(*client));
	struct epoll_event event = {.events = EPOLLIN};

	if (!client)
		return fl_err_set(err, -ENOMEM, "out of memory");
	client->access = access;
	client->epoll = epoll_create1(EPOLL_CLOEXEC);
	client->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	event.data.fd = client->timer;
	if (client->epoll < 0 || client->timer < 0 ||
	    epoll_ctl(client->epoll, EPOLL_CTL_ADD, client->timer, &event))
		return fl_err_set(err, -errno, "cannot wait for the API server: %s",
				  strerror(errno));
	if (curl_global_init(CURL_GLOBAL_DEFAULT))
		return fl_err_set(err, -ENOMEM, "cannot set up libcurl");
	client->multi = curl_multi_init();
	if (!client->multi ||
	    curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, on_socket) ||
	    curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client) ||
	    curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, on_timer) ||
	    curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client))
		return fl_err_set(err, -ENOMEM, "cannot set up libcurl");
	*ret_client = TAKE_PTR(client);
	return 0;
}

static void unlink_request(struct fl_kube_request *request)
{
	struct fl_kube_client *client = request->client;

	if (!request->broken)
		curl_multi_remove_handle(client->multi, request->easy);
	if (request->prev)
		request->prev->next = request->next;
	else
		client->requests = request->next;
	if (request->next)
		request->next->prev = request->prev;
}

void fl_kube_cancel(struct fl_kube_request **request)
{
	if (!*request)
		return;
	unlink_request(*request);
	fl_kube_request_free(request);
}

void fl_kube_client_free(struct fl_kube_client **ptr)
{
	struct fl_kube_client *client = TAKE_PTR(*ptr);

	if (!client)
		return;
	while (client->requests) {
		struct fl_kube_request *request = client->requests;

		fl_kube_cancel(&request);
	}
	if (client->multi)
		curl_multi_cleanup(client->multi);
	fl_closep(&client->timer);
	fl_closep(&client->epoll);
	if (client->token)
		explicit_bzero(client->token, strlen(client->token));
	free(client->token);
	fl_strings_clear(&client->learnt);
	free(client);
}

int fl_kube_client_fd(const struct fl_kube_client *client)
{
	return client->epoll;
}

void fl_kube_client_wake(struct fl_kube_client *client, struct fl_mono at)
{
	client->wake = at;
	arm(client);
}

int fl_kube_ask(struct fl_kube_client *client, const struct fl_kube_call *call,
		struct fl_kube_request **ret_request)
{
	struct fl_kube_request *request;
	int r = fl_kube_request_new(client, call, &request);

	if (r)
		return r;
	request->next = client->requests;
	if (request->next)
		request->next->prev = request;
	client->requests = request;
	client->fresh = false;
	if (!request->broken && curl_multi_add_handle(client->multi, request->easy)) {
		request->broken = true; /* and so it is not taken out of what it is not in */
		snprintf(request->error, sizeof(request->error), "libcurl refuses the request");
	}
	arm(client);
	*ret_request = request;
	return 0;
}

void fl_kube_set_idle(struct fl_kube_request *request, uint64_t idle_ms)
{
	request->call.idle_ms = idle_ms;
}

static bool same_places(const struct fl_strings *known, const char *const *places, size_t n)
{
	if (known->n != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (strcmp(known->items[i], places[i]))
			return false;
	return true;
}

static void move(struct fl_kube_client *client, size_t place)
{
	client->moves += place != client->place;
	client->place = place;
}

/* The place in use keeps its turn, wherever it stands now; if it is gone the first has it. */
static void replace_learnt(struct fl_kube_client *client, const struct fl_strings *learnt)
{
	const size_t before = client->access->other_servers.n + 1;
	const char *used = NULL;
	size_t place = client->place < before ? client->place : 0;

	if (client->place >= before)
		used = client->learnt.items[client->place - before];
	for (size_t i = 0; used && i < learnt->n; i++)
		if (!strcmp(learnt->items[i], used))
			place = before + i;
	move(client, place);
	fl_strings_clear(&client->learnt);
	client->learnt = *learnt;
}

int fl_kube_client_learn(struct fl_kube_client *client, const char *const *places, size_t n)
{
	const struct fl_kube_access *access = client->access;
	const bool proven = !strncmp(access->server, "https://", 8) && !access->insecure;
	struct fl_strings learnt = {0};

	if (!n || (!proven &&
		   (access->token || access->token_file || access->key.file || access->key.data)))
		return 0;
	if (same_places(&client->learnt, places, n))
		return 0;
	for (size_t i = 0; i < n; i++) {
		if (fl_strings_add(&learnt, strdup(places[i]))) {
			fl_strings_clear(&learnt);
			return -ENOMEM;
		}
	}
	replace_learnt(client, &learnt);
	return 0;
}

/*
 * Nobody is there, or somebody else, or one who does not know us or has lost what it needs, as an
 * API server without its etcd. Another may do better.
 */
static bool is_of_no_use(const struct fl_kube_reply *reply)
{
	return reply->end == FL_KUBE_UNREACHABLE || reply->end == FL_KUBE_FAILED ||
	       reply->status == 401 || reply->status >= 500;
}

/* Several requests that failed at one place move on once. */
static void try_elsewhere(struct fl_kube_client *client, const struct fl_kube_request *request)
{
	const size_t places = 1 + client->access->other_servers.n + client->learnt.n;

	if (request->moves == client->moves)
		move(client, (client->place + 1) % places);
}

static void end_request(struct fl_kube_request *request, CURLcode code)
{
	struct fl_kube_client *client = request->client;
	struct fl_kube_reply reply = fl_kube_request_reply(request, code);

	client->fresh |= reply.status == 401;
	if (is_of_no_use(&reply))
		try_elsewhere(client, request);
	unlink_request(request);
	request->call.done(&reply, request->call.arg);
	fl_kube_request_free(&request);
}

/* Whether any request came to its end. */
static bool end_requests(struct fl_kube_client *client)
{
	const struct CURLMsg *message;
	bool any = false;
	int left;

	while ((message = curl_multi_info_read(client->multi, &left))) {
		const CURLcode code = message->data.result;
		struct fl_kube_request *request = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&request);
		end_request(request, code);
		any = true;
	}
	return any;
}

static struct fl_kube_request *find_stalled(const struct fl_kube_client *client, struct fl_mono now)
{
	for (struct fl_kube_request *r = client->requests; r; r = r->next)
		if (stalls_at(r).ns <= now.ns)
			return r;
	return NULL;
}

static bool end_stalled(struct fl_kube_client *client)
{
	const struct fl_mono now = fl_mono_now();
	struct fl_kube_request *request;
	bool any = false;

	while ((request = find_stalled(client, now))) {
		request->stalled = !request->broken;
		end_request(request, CURLE_OK);
		any = true;
	}
	return any;
}

static bool turn(struct fl_kube_client *client)
{
	struct epoll_event events[EVENTS];
	int n = epoll_wait(client->epoll, events, EVENTS, 0), running;
	bool any = n > 0;

	for (int i = 0; i < n; i++) {
		const int mask = (events[i].events & EPOLLIN ? CURL_CSELECT_IN : 0) |
				 (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
				 (events[i].events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
		uint64_t expired;

		if (events[i].data.fd != client->timer)
			curl_multi_socket_action(client->multi, events[i].data.fd, mask, &running);
		else if (read(client->timer, &expired, sizeof(expired)) < 0)
			continue;
	}
	if (client->curl_due.ns && client->curl_due.ns <= fl_mono_now().ns) {
		client->curl_due = (struct fl_mono){0};
		curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
		any = true;
	}
	any |= end_requests(client);
	return end_stalled(client) || any;
}

void fl_kube_client_handle(struct fl_kube_client *client)
{
	for (int i = 0; i < ROUNDS && turn(client); i++)
		;
	arm(client);
}
