/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Getting documents: from the agent by its socket, else from the pinned maps; and showing them. */
#pragma once

#include "lb/base/err.h"
#include "lb/base/url.h"
#include "tools/cli.h"

struct fl_doc;
struct fl_items;
struct fl_json;
struct fl_listing;
struct fl_value;
struct fl_view;

struct fl_question {
	const char *method; /* "GET", "POST" */
	struct fl_url url;  /* path and query */
	bool writable;	    /* the maps are to be changed */
	/*
	 * The same answer from the pinned maps. -ENOENT with words: not found. NULL: only an agent
	 * can answer.
	 */
	int (*render)(const struct fl_view *view, const struct fl_cli *cli, const void *arg,
		      struct fl_json *json, struct fl_err *err);
	const void *arg;
};

/* What a command shows: the items of all answers, as one document. */
struct fl_show {
	const struct fl_question *questions;
	size_t n_questions;
	const struct fl_listing *listing;
	/* only the items that the operands name; the first operand without one is an error */
	bool by_operands;
	size_t limit; /* at most so many items; 0 all */
	/* Turns what is shown into an exit code; may be NULL. */
	enum fl_exit (*verdict)(const struct fl_value *root, const struct fl_items *items);
};

/* Ask once. On FL_EXIT_OK *ret_doc is the caller's; otherwise the error has been reported. */
enum fl_exit fl_ask(struct fl_cli *cli, const struct fl_question *question,
		    struct fl_doc **ret_doc);

/* Ask and write the answers, again and again with --watch. */
enum fl_exit fl_show(struct fl_cli *cli, const struct fl_show *show);
/* Write a document in the chosen format. */
enum fl_exit fl_print(struct fl_cli *cli, const struct fl_listing *listing,
		      const struct fl_value *root, const struct fl_items *items);

/* The agent's socket */

/*
 * One request. The text is the caller's to free. `tell`: report on standard error when the agent is
 * slow. -ECONNREFUSED with the reason in err: no agent answers; -ETIMEDOUT: there is one, and it is
 * stopped. Other errors do not concern the question either (-EPROTO, -E2BIG, -ENOMEM).
 */
int fl_client_request(const char *socket, const char *method, const char *path, bool tell,
		      char **ret_text, size_t *ret_len, long *ret_code, struct fl_err *err);
