/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Questions go to the agent, else to the pinned maps; either way the answer is one document. */
#include "tools/ask.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lb/api/view.h"
#include "lb/base/array.h"
#include "lb/base/cleanup.h"
#include "lb/base/doc.h"
#include "lb/base/json_write.h"
#include "lb/dp/dp.h"
#include "lb/dp/maps.h"
#include "tools/items.h"
#include "tools/output.h"

#define WATCH_SECONDS 2

static void view_finip(struct fl_view *view)
{
	fl_view_fini(view);
}

static enum fl_exit parse_answer(const char *text, size_t len, struct fl_doc **ret_doc)
{
	_cleanup_(fl_doc_free) struct fl_doc *doc = NULL;
	struct fl_err err = {""};

	if (fl_doc_parse(text, len, FL_DOC_JSON, &doc, &err)) {
		fl_say("the answer is not JSON: %s", err.text);
		return FL_EXIT_FAILED;
	}
	if (fl_value_type(fl_doc_root(doc)) != FL_VALUE_MAP) {
		fl_say("the answer is no document");
		return FL_EXIT_FAILED;
	}
	*ret_doc = TAKE_PTR(doc);
	return FL_EXIT_OK;
}

/* An HTTP status of 400 and more comes with a document of kind Error; or with a line of text, if
 * there was no memory for one. */
static enum fl_exit answer_failed(const char *text, size_t len, long code)
{
	_cleanup_(fl_doc_free) struct fl_doc *doc = NULL;
	const char *message = NULL;

	if (!fl_doc_parse(text, len, FL_DOC_JSON, &doc, NULL))
		message = fl_value_string(fl_value_get(fl_doc_root(doc), "message"));
	if (message)
		fl_say("%s", message);
	else
		fl_say("the agent refused with HTTP status %ld: %.*s", code,
		       (int)strcspn(text, "\r\n"), text);
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
		fl_say("agent not reachable at %s (%s); %s", cli->socket, reason,
		       question->writable ? "changing the pinned maps"
					  : "showing the pinned maps, which hold the numbers of "
					    "Services (#ID) "
					    "but not their names");
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
	_cleanup_free_ char *text = NULL;
	struct fl_err err = {""};
	size_t len;
	long code;
	int r;

	if (!fl_url_text(&question->url))
		return fl_usage("the request is longer than %d bytes", FL_URL_MAX);
	r = fl_client_request(cli->socket, question->method, fl_url_text(&question->url), true,
			      &text, &len, &code, &err);
	cli->agent = !r ? NULL : r == -ETIMEDOUT ? "stopped" : "unreachable";
	if (r == -ECONNREFUSED || r == -ETIMEDOUT)
		return ask_maps(cli, question, err.text, ret_doc);
	if (r) {
		fl_say("%s", err.text);
		return FL_EXIT_FAILED;
	}
	return code >= 400 ? answer_failed(text, len, code) : parse_answer(text, len, ret_doc);
}

enum fl_exit fl_print(struct fl_cli *cli, const struct fl_listing *listing,
		      const struct fl_value *root, const struct fl_items *items)
{
	const struct fl_output_options options = {
		.no_headers = cli->no_headers, .color = cli->color, .width = cli->width};
	struct fl_err err = {""};

	if (listing->none && !items->n && cli->output->is_table)
		fl_say("%s", listing->none);
	else if (cli->output->write(listing, root, items, &options, stdout, &err))
		return fl_say("%s", err.text), FL_EXIT_FAILED;
	return fl_written();
}

/* The answers to all questions, and what of them is shown. */
struct answers {
	struct fl_doc **doc;
	size_t n, room;
	struct fl_items items;
};

static void answers_fini(struct answers *answers)
{
	for (size_t i = 0; i < answers->n; i++)
		fl_doc_free(&answers->doc[i]);
	free(answers->doc);
	fl_items_fini(&answers->items);
	*answers = (struct answers){0};
}

static enum fl_exit ask_all(struct fl_cli *cli, const struct fl_show *show, struct answers *answers)
{
	for (size_t i = 0; i < show->n_questions; i++) {
		enum fl_exit rc;

		if (FL_ARRAY_ROOM(answers->doc, answers->room, answers->n + 1))
			return fl_say_no_memory();
		answers->doc[answers->n] = NULL;
		rc = fl_ask(cli, &show->questions[i], &answers->doc[answers->n]);
		if (rc)
			return rc;
		answers->n++;
		if (fl_items_add(&answers->items, fl_doc_root(answers->doc[answers->n - 1])))
			return fl_say_no_memory();
	}
	return FL_EXIT_OK;
}

/* *ret_missing: an operand that names nothing, or NULL. */
static enum fl_exit choose(struct fl_cli *cli, const struct fl_show *show, struct fl_items *items,
			   const char **ret_missing)
{
	*ret_missing = NULL;
	if (show->by_operands && fl_items_choose(items, show->listing, cli->operand,
						 (size_t)cli->n_operands, ret_missing))
		return fl_say_no_memory();
	if (cli->family)
		fl_items_keep(items, "family", cli->family);
	if (cli->sort && fl_items_sort(items, show->listing, cli->sort))
		return fl_say_no_memory();
	if (show->limit && items->n > show->limit)
		items->n = show->limit;
	return FL_EXIT_OK;
}

static enum fl_exit show_once(struct fl_cli *cli, const struct fl_show *show,
			      struct answers *answers)
{
	const struct fl_value *root;
	const char *missing;
	enum fl_exit rc = ask_all(cli, show, answers);

	if (!rc)
		rc = choose(cli, show, &answers->items, &missing);
	if (rc)
		return rc;
	root = fl_doc_root(answers->doc[0]);
	if (cli->watch && isatty(STDOUT_FILENO))
		fputs("\033[H\033[2J", stdout);
	if (!missing || answers->items.n)
		rc = fl_print(cli, show->listing, root, &answers->items);
	if (!rc && missing) {
		fl_say("there is no \"%s\"", missing);
		return FL_EXIT_NOT_FOUND;
	}
	return rc || !show->verdict ? rc : show->verdict(root, &answers->items);
}

enum fl_exit fl_show(struct fl_cli *cli, const struct fl_show *show)
{
	for (;;) {
		_cleanup_(answers_fini) struct answers answers = {0};
		enum fl_exit rc = show_once(cli, show, &answers);

		/* a failure to write, or of the agent, ends watching; being unhealthy does not */
		if (!cli->watch || answers.n < show->n_questions || ferror(stdout))
			return rc;
		sleep(WATCH_SECONDS);
	}
}
