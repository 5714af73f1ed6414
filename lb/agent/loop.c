/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The loop: descriptors, timers and signals become calls of the agent. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "lb/agent/internal.h"
#include "lb/base/cleanup.h"
#include "lb/base/log.h"
#include "lb/http/http.h"

#define RETRY_MS 10000
#define WATCH_MS 1000
#define VERIFY_MS (3600 * 1000)

struct fl_loop {
	struct fl_agent *agent;
	uv_loop_t uv;
	bool ready;
	uv_poll_t source, host, http;
	uv_timer_t upkeep, retry, watch, gauges, duties, verify;
	uv_signal_t term, interrupt, hup;
	uv_check_t turn; /* the end of each turn */
	uv_idle_t more;	 /* the next turn does not wait: the last one left something to do */
};

static struct fl_agent *agent_of(const void *handle)
{
	return ((const uv_handle_t *)handle)->data;
}

static void on_source(uv_poll_t *poll, int status, int events)
{
	fl_input_handle(&agent_of(poll)->input);
}

static void on_host(uv_poll_t *poll, int status, int events)
{
	struct fl_err err = {""};

	if (fl_host_handle(agent_of(poll)->host, &err))
		fl_log_error("%s", err.text);
}

static void on_http(uv_poll_t *poll, int status, int events)
{
	fl_http_handle(agent_of(poll)->http);
}

/* That it is there is what counts. */
static void on_more(uv_idle_t *more)
{
}

static void on_turn(uv_check_t *check)
{
	struct fl_loop *loop = check->loop->data;

	if (fl_agent_turn(agent_of(check)))
		uv_idle_start(&loop->more, on_more);
	else
		uv_idle_stop(&loop->more);
}

/* At multiples of the time, so that what is due as often, or every second time, is done together:
 * to wake up is most of what little there is to do. */
static void again(uv_timer_t *timer, uv_timer_cb call, uint64_t ms)
{
	uv_timer_start(timer, call, ms - uv_now(timer->loop) % ms, ms);
}

static void on_upkeep(uv_timer_t *timer)
{
	again(timer, on_upkeep, fl_agent_upkeep(agent_of(timer)));
}

static void on_retry(uv_timer_t *timer)
{
	fl_agent_retry(agent_of(timer));
	again(timer, on_retry, RETRY_MS);
}

static void on_watch(uv_timer_t *timer)
{
	fl_agent_watch(agent_of(timer));
	again(timer, on_watch, WATCH_MS);
}

static void on_gauges(uv_timer_t *timer)
{
	fl_agent_gauge(agent_of(timer));
	again(timer, on_gauges, FL_GAUGES_MS);
}

static void on_duties(uv_timer_t *timer)
{
	fl_duties_retry(agent_of(timer)->duties);
	again(timer, on_duties, FL_DUTIES_RETRY_MS);
}

static void on_verify(uv_timer_t *timer)
{
	fl_agent_verify(agent_of(timer));
}

static void on_stop(uv_signal_t *signal, int number)
{
	fl_log_info("stopping on %s; the datapath stays at work", strsignal(number));
	fl_notify_send(&agent_of(signal)->notify, "STOPPING=1");
	uv_stop(signal->loop);
}

static void on_hup(uv_signal_t *signal, int number)
{
	fl_agent_reload(agent_of(signal), true);
}

static int add_polls(struct fl_loop *loop)
{
	struct fl_agent *agent = loop->agent;
	const struct {
		uv_poll_t *poll;
		int fd;
		uv_poll_cb call;
	} polls[] = {
		{&loop->source, fl_source_fd(agent->input.source), on_source},
		{&loop->host, fl_host_fd(agent->host), on_host},
		{&loop->http, fl_http_fd(agent->http), on_http},
	};

	for (size_t i = 0; i < sizeof(polls) / sizeof(polls[0]); i++) {
		int r = uv_poll_init(&loop->uv, polls[i].poll, polls[i].fd);

		polls[i].poll->data = agent;
		if (!r)
			r = uv_poll_start(polls[i].poll, UV_READABLE, polls[i].call);
		if (r)
			return r;
	}
	return 0;
}

static int add_timers(struct fl_loop *loop)
{
	const struct {
		uv_timer_t *timer;
		uint64_t ms;
		uv_timer_cb call;
	} timers[] = {
		{&loop->upkeep, FL_UPKEEP_MS, on_upkeep},
		{&loop->retry, RETRY_MS, on_retry},
		{&loop->watch, WATCH_MS, on_watch},
		{&loop->gauges, FL_GAUGES_MS, on_gauges},
		{&loop->duties, FL_DUTIES_RETRY_MS, on_duties},
		{&loop->verify, VERIFY_MS, on_verify},
	};

	for (size_t i = 0; i < sizeof(timers) / sizeof(timers[0]); i++) {
		int r = uv_timer_init(&loop->uv, timers[i].timer);

		timers[i].timer->data = loop->agent;
		if (!r)
			r = uv_timer_start(timers[i].timer, timers[i].call, timers[i].ms,
					   timers[i].ms);
		if (r)
			return r;
	}
	return 0;
}

static int add_signals(struct fl_loop *loop)
{
	const struct {
		uv_signal_t *signal;
		int number;
		uv_signal_cb call;
	} signals[] = {
		{&loop->term, SIGTERM, on_stop},
		{&loop->interrupt, SIGINT, on_stop},
		{&loop->hup, SIGHUP, on_hup},
	};

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		int r = uv_signal_init(&loop->uv, signals[i].signal);

		signals[i].signal->data = loop->agent;
		if (!r)
			r = uv_signal_start(signals[i].signal, signals[i].call, signals[i].number);
		if (r)
			return r;
	}
	return 0;
}

static int loop_init(struct fl_loop *loop)
{
	int r = uv_loop_init(&loop->uv);

	if (r)
		return r;
	loop->ready = true;
	uv_check_init(&loop->uv, &loop->turn);
	uv_idle_init(&loop->uv, &loop->more);
	loop->uv.data = loop;
	loop->turn.data = loop->agent;
	r = uv_check_start(&loop->turn, on_turn);
	if (!r)
		r = add_signals(loop);
	if (!r)
		r = add_polls(loop);
	return r ? r : add_timers(loop);
}

static void close_handle(uv_handle_t *handle, void *arg)
{
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

static void loop_fini(struct fl_loop *loop)
{
	if (!loop->ready)
		return;
	uv_walk(&loop->uv, close_handle, NULL);
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	uv_loop_close(&loop->uv);
}

int fl_loop_run(struct fl_agent *agent, struct fl_err *err)
{
	_cleanup_(loop_fini) struct fl_loop loop = {.agent = agent};
	int r = loop_init(&loop);

	if (r)
		return fl_err_set(err, r, "cannot set up the loop: %s", uv_strerror(r));
	fl_agent_ready(agent);
	uv_run(&loop.uv, UV_RUN_DEFAULT);
	return 0;
}
