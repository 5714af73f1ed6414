/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Finding nouns and verbs, and suggesting the one that was probably meant. */
#include <stdio.h>
#include <string.h>

#include "lb/base/suggest.h"
#include "tools/cli.h"

const struct fl_noun *fl_noun_find(const char *name)
{
	for (size_t i = 0; fl_nouns[i]; i++) {
		if (!strcmp(fl_nouns[i]->name, name))
			return fl_nouns[i];
	}
	return NULL;
}

const struct fl_command *fl_command_find(const struct fl_noun *noun, const char *verb)
{
	for (size_t i = 0; i < noun->n_commands; i++) {
		const struct fl_command *command = &noun->commands[i];

		if (!command->verb || (verb && !strcmp(command->verb, verb)))
			return command;
	}
	return NULL;
}

enum fl_exit fl_usage_noun(const char *name)
{
	struct fl_suggestion suggestion = {.typed = name};
	char buf[FL_SUGGESTION_STRLEN];

	for (size_t i = 0; fl_nouns[i]; i++) {
		if (!fl_nouns[i]->hidden)
			fl_suggestion_offer(&suggestion, fl_nouns[i]->name);
	}
	return fl_usage("there is no \"%s\"%s", name, fl_suggestion_format(&suggestion, "", buf));
}

enum fl_exit fl_usage_verb(const struct fl_noun *noun, const char *verb)
{
	struct fl_suggestion suggestion = {.typed = verb ? verb : ""};
	char buf[FL_SUGGESTION_STRLEN], list[80] = "";

	for (size_t i = 0; i < noun->n_commands; i++) {
		const char *between = !i ? "" : i + 1 < noun->n_commands ? ", " : " or ";
		size_t len = strlen(list);

		snprintf(list + len, sizeof(list) - len, "%s%s", between, noun->commands[i].verb);
		fl_suggestion_offer(&suggestion, noun->commands[i].verb);
	}
	if (!verb)
		return fl_usage("%s needs a verb: %s", noun->name, list);
	return fl_usage("there is no \"%s %s\"%s", noun->name, verb,
			fl_suggestion_format(&suggestion, "", buf));
}
