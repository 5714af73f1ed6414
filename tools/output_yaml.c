/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Format yaml: the document by libyaml's emitter, strings quoted where a reader would take them for
 * something else. */
#include <errno.h>
#include <string.h>
#include <yaml.h>

#include "lb/base/cleanup.h"
#include "lb/base/doc.h"
#include "tools/items.h"
#include "tools/output.h"

/* The event functions take unsigned char. */
static yaml_char_t *ystr(const char *text)
{
	return (yaml_char_t *)text;
}

/* Words and shapes of scalars that YAML 1.1 and 1.2 readers do not take for a string. */
static bool looks_like_string(const char *text)
{
	static const char *const words[] = {"null", "true", "false", "yes", "no",
					    "on",   "off",  "y",     "n"};

	if (!*text || strchr("0123456789.+-~*&!%@`'\"#[]{}|>,?: ", *text))
		return false;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!strcasecmp(text, words[i]))
			return false;
	}
	return true;
}

static int emit_scalar(yaml_emitter_t *emitter, const char *text, bool string)
{
	yaml_scalar_style_t style = string && !looks_like_string(text)
					    ? YAML_DOUBLE_QUOTED_SCALAR_STYLE
					    : YAML_ANY_SCALAR_STYLE;
	yaml_event_t event;

	return yaml_scalar_event_initialize(&event, NULL, NULL, ystr(text), (int)strlen(text), 1, 1,
					    style) &&
	       yaml_emitter_emit(emitter, &event);
}

static int emit_map_begin(yaml_emitter_t *emitter)
{
	yaml_event_t event;

	return yaml_mapping_start_event_initialize(&event, NULL, NULL, 1,
						   YAML_BLOCK_MAPPING_STYLE) &&
	       yaml_emitter_emit(emitter, &event);
}

static int emit_map_end(yaml_emitter_t *emitter)
{
	yaml_event_t event;

	return yaml_mapping_end_event_initialize(&event) && yaml_emitter_emit(emitter, &event);
}

static int emit_list_begin(yaml_emitter_t *emitter)
{
	yaml_event_t event;

	return yaml_sequence_start_event_initialize(&event, NULL, NULL, 1,
						    YAML_BLOCK_SEQUENCE_STYLE) &&
	       yaml_emitter_emit(emitter, &event);
}

static int emit_list_end(yaml_emitter_t *emitter)
{
	yaml_event_t event;

	return yaml_sequence_end_event_initialize(&event) && yaml_emitter_emit(emitter, &event);
}

static int emit_value(yaml_emitter_t *emitter, const struct fl_value *value)
{
	enum fl_value_type type = fl_value_type(value);
	bool map = type == FL_VALUE_MAP;

	if (type != FL_VALUE_LIST && !map)
		return emit_scalar(emitter, type == FL_VALUE_NULL ? "null" : fl_value_text(value),
				   type == FL_VALUE_STRING);
	if (!(map ? emit_map_begin : emit_list_begin)(emitter))
		return 0;
	FL_VALUE_EACH(member, value)
	{
		if (map && !emit_scalar(emitter, fl_value_key(member), true))
			return 0;
		if (!emit_value(emitter, member))
			return 0;
	}
	return (map ? emit_map_end : emit_list_end)(emitter);
}

static int emit_items(yaml_emitter_t *emitter, const struct fl_items *items)
{
	if (!emit_list_begin(emitter))
		return 0;
	for (size_t i = 0; i < items->n; i++) {
		if (!emit_value(emitter, items->item[i]))
			return 0;
	}
	return emit_list_end(emitter);
}

/* The document, with the items that are shown in the place of all. */
static int emit_root(yaml_emitter_t *emitter, const struct fl_value *root,
		     const struct fl_items *items)
{
	if (!emit_map_begin(emitter))
		return 0;
	FL_VALUE_EACH(member, root)
	{
		const char *key = fl_value_key(member);

		if (!emit_scalar(emitter, key, true))
			return 0;
		if (!(strcmp(key, "items") ? emit_value(emitter, member)
					   : emit_items(emitter, items)))
			return 0;
	}
	return emit_map_end(emitter);
}

static int emit_document(yaml_emitter_t *emitter, const struct fl_value *root,
			 const struct fl_items *items)
{
	yaml_event_t event;

	return yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING) &&
	       yaml_emitter_emit(emitter, &event) &&
	       yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1) &&
	       yaml_emitter_emit(emitter, &event) && emit_root(emitter, root, items) &&
	       yaml_document_end_event_initialize(&event, 1) &&
	       yaml_emitter_emit(emitter, &event) && yaml_stream_end_event_initialize(&event) &&
	       yaml_emitter_emit(emitter, &event);
}

static int yaml_write(const struct fl_listing *listing, const struct fl_value *root,
		      const struct fl_items *items, const struct fl_output_options *options,
		      FILE *out, struct fl_err *err)
{
	yaml_emitter_t emitter;
	int rc = 0;

	if (!yaml_emitter_initialize(&emitter))
		return fl_err_set(err, -ENOMEM, "no memory");
	yaml_emitter_set_output_file(&emitter, out);
	yaml_emitter_set_unicode(&emitter, 1);
	yaml_emitter_set_width(&emitter, -1);
	if (!emit_document(&emitter, root, items))
		rc = fl_err_set(err, -EIO, "cannot write YAML: %s",
				emitter.problem ? emitter.problem : "no memory");
	yaml_emitter_delete(&emitter);
	return rc;
}

const struct fl_output fl_output_yaml = {.write = yaml_write};
