/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* DrainResult, and the list of drained backends in the Status. */
#include "lb/api/drain.h"

#include <stdlib.h>
#include <time.h>

#include "lb/api/render.h"
#include "lb/base/json_write.h"

void fl_api_drain_result_fini(struct fl_api_drain_result *result)
{
	free(result->items);
	fl_strings_clear(&result->emptied);
	free(result->emptied.items);
	*result = (struct fl_api_drain_result){0};
}

void fl_render_time(struct fl_json *json, const char *key, int64_t unix_s)
{
	const time_t at = (time_t)unix_s;
	char when[32];
	struct tm tm;

	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&at, &tm));
	fl_json_member_string(json, key, when);
}

static void write_item(const struct fl_api_drained *item, struct fl_json *json)
{
	char buf[FL_DRAIN_STRLEN];

	fl_json_object_begin(json);
	fl_json_member_string(json, "address", fl_drain_format(&item->drain, buf));
	fl_json_member_bool(json, "changed", item->changed);
	fl_json_member_uint(json, "endpoints", item->n_endpoints);
	fl_json_member_uint(json, "weightless", item->n_weightless);
	fl_json_object_end(json);
}

void fl_render_drain_result(const struct fl_api_drain_request *request,
			    const struct fl_api_drain_result *result, struct fl_json *json)
{
	fl_render_begin(json, "DrainResult");
	fl_json_member_bool(json, "drained", !request->undrain);
	fl_json_key(json, "items");
	fl_json_array_begin(json);
	for (size_t i = 0; i < result->n; i++)
		write_item(&result->items[i], json);
	fl_json_array_end(json);
	fl_json_key(json, "emptied");
	fl_json_array_begin(json);
	for (size_t i = 0; i < result->emptied.n; i++)
		fl_json_string(json, result->emptied.items[i]);
	fl_json_array_end(json);
	fl_json_member_bool(json, "kept", result->kept);
	fl_json_member_string(json, "reason", result->kept ? NULL : result->why.text);
	fl_json_object_end(json);
}

void fl_render_drains(const struct fl_drains *drains, struct fl_json *json)
{
	char buf[FL_DRAIN_STRLEN];

	fl_json_key(json, "drains");
	if (!drains) {
		fl_json_null(json);
		return;
	}
	fl_json_array_begin(json);
	for (size_t i = 0; i < drains->n; i++) {
		fl_json_object_begin(json);
		fl_json_member_string(json, "address", fl_drain_format(&drains->v[i], buf));
		fl_render_time(json, "since", drains->v[i].since_unix_s);
		fl_json_object_end(json);
	}
	fl_json_array_end(json);
}
