/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The way of a question: agent, else pinned maps; the answer is one document either way. */
#include "tools/ask.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lb/api/view.h"
#include "lb/base/cleanup.h"
#include "lb/base/doc.h"
#include "lb/base/json_write.h"
#include "lb/dp/dp.h"
#include "lb/dp/maps.h"
#include "tools/output.h"

#define WATCH_SECONDS 2

static void view_finip(struct fl_view *view)
{
	fl_view_fini(view);
}

static enum fl_exit parse_answer(const char *text, size_t len, struct fl_doc **ret_doc)
{
	struct fl_err err = {""};

	if (fl_doc_parse(text, len, FL_DOC_JSON, ret_doc, &err)) {
		fl_say("the answer is not JSON: %s", err.text);
		return FL_EXIT_FAILED;
	}
	return FL_EXIT_OK;
}

/* An HTTP status of 400 and more comes with a document of kind Error. */
static enum fl_exit answer_failed(const struct fl_doc *doc, long code)
{
	const char *message = fl_value_string(fl_value_get(fl_doc_root(doc), "message"));

	fl_say("%s", message ? message : "the agent refused without saying why");
	return code == 404 ? FL_EXIT_NOT_FOUND : code == 400 ? FL_EXIT_USAGE : FL_EXIT_FAILED;
}

static enum fl_exit ask_maps(struct fl_cli *cli, const struct fl_question *question,
			     const char *reason, struct fl_doc **ret_doc)
{
	_cleanup_(fl_maps_close) struct fl_maps maps = FL_MAPS_INIT;
	_cleanup_(fl_json_free) struct fl_json *json = NULL;
	_cleanup_(view_finip) struct fl_view view = {0};
	struct fl_err err = {""};
	const char *text;
	size_t len;
	int rc;

	if (!question->render) {
		fl_say("agent not reachable at %s (%s)", cli->socket, reason);
		return FL_EXIT_UNREACHABLE;
	}
	rc = fl_maps_open_pinned(cli->bpffs, question->writable, &maps, &err);
	if (rc) {
		fl_say("agent not reachable at %s (%s), and no datapath to look at in %s (%s)",
		       cli->socket, reason, cli->bpffs, *err.text ? err.text : strerror(-rc));
		return FL_EXIT_UNREACHABLE;
	}
	if (!cli->fallback_said)
		fl_say("agent not reachable at %s (%s); %s the pinned maps", cli->socket, reason,
		       question->writable ? "changing" : "showing");
	cli->fallback_said = true;
	/* an old clock only makes idle times inexact */
	(void)fl_dp_refresh_clock(cli->bpffs, NULL);
	json = fl_json_new(false);
	rc = fl_view_init(&view, &maps, NULL, 0, &err);
	if (!rc)
		rc = question->render(&view, cli, question->arg, json, &err);
	text = fl_json_text(json, &len);
	if (rc || !text) {
		fl_say("%s", *err.text ? err.text : "no memory");
		return rc == -ENOENT ? FL_EXIT_NOT_FOUND : FL_EXIT_FAILED;
	}
	return parse_answer(text, len, ret_doc);
}

enum fl_exit fl_ask(struct fl_cli *cli, const struct fl_question *question, struct fl_doc **ret_doc)
{
	_cleanup_(fl_doc_free) struct fl_doc *doc = NULL;
	_cleanup_free_ char *text = NULL;
	struct fl_err err = {""};
	enum fl_exit rc;
	size_t len;
	long code;
	int r;

	if (!fl_url_text(&question->url))
		return fl_usage("the request is longer than %d bytes", FL_URL_MAX);
	r = fl_client_request(cli->socket, question->method, fl_url_text(&question->url), &text,
			      &len, &code, &err);
	if (r == -ECONNREFUSED)
		return ask_maps(cli, question, err.text, ret_doc);
	if (r) {
		fl_say("%s", err.text);
		return FL_EXIT_FAILED;
	}
	rc = parse_answer(text, len, &doc);
	if (rc)
		return rc;
	if (code >= 400)
		return answer_failed(doc, code);
	*ret_doc = TAKE_PTR(doc);
	return FL_EXIT_OK;
}

enum fl_exit fl_print(struct fl_cli *cli, const struct fl_listing *listing,
		      const struct fl_doc *doc)
{
	const struct fl_output_options options = {.no_headers = cli->no_headers,
						  .color = cli->color};
	const struct fl_value *root = fl_doc_root(doc);
	struct fl_err err = {""};

	if (listing->none && !fl_value_count(fl_value_get(root, "items")) && cli->output->is_table)
		fl_say("%s", listing->none);
	else if (cli->output->write(listing, root, &options, stdout, &err))
		return fl_say("%s", err.text), FL_EXIT_FAILED;
	return fl_written();
}

enum fl_exit fl_show(struct fl_cli *cli, const struct fl_question *question,
		     const struct fl_listing *listing,
		     enum fl_exit (*verdict)(const struct fl_value *root))
{
	enum fl_exit rc;

	for (;;) {
		_cleanup_(fl_doc_free) struct fl_doc *doc = NULL;

		rc = fl_ask(cli, question, &doc);
		if (!rc) {
			if (cli->watch && isatty(STDOUT_FILENO))
				fputs("\033[H\033[2J", stdout);
			rc = fl_print(cli, listing, doc);
		}
		if (!rc && verdict)
			rc = verdict(fl_doc_root(doc));
		/* a failure to write, or of the agent, ends watching; being unhealthy does not */
		if (!cli->watch || !doc || ferror(stdout))
			return rc;
		sleep(WATCH_SECONDS);
	}
}
