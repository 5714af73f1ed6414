// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Weights of endpoints. The API has no field for them, and drops fields that it does not know; so
 * they are annotations, which mean the same in a file and in a cluster.
 */
#include "lb/k8s/decode_weights.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"

/* An endpoint of the slice, so that it can be found by its address. */
struct place {
	struct fl_ip ip;
	size_t endpoint;
	bool given; /* a weight of its own */
};

struct weights {
	struct fl_slice *slice;
	uint16_t all; /* what endpoints have that are not named */
	struct place *places;
	size_t n;
};

static int compare_places(const void *va, const void *vb)
{
	const struct place *a = va, *b = vb;
	int rc = fl_ip_cmp(&a->ip, &b->ip);

	return rc ? rc : (a->endpoint > b->endpoint) - (a->endpoint < b->endpoint);
}

static int compare_ips(const void *a, const void *b)
{
	return fl_ip_cmp(&((const struct place *)a)->ip, &((const struct place *)b)->ip);
}

static bool parse_weight(const char *text, uint16_t *ret_weight)
{
	const size_t len = strlen(text);
	unsigned long weight;

	if (!len || len > 9 || strspn(text, "0123456789") != len)
		return false;
	weight = strtoul(text, NULL, 10);
	if (weight > FL_WEIGHT_MAX)
		return false;
	*ret_weight = (uint16_t)weight;
	return true;
}

/* The text of an annotation; NULL: absent, or no text, which is a warning. */
static int read_text(struct fl_decoding *d, const struct fl_value *annotations, const char *key,
		     uint16_t instead, const char **ret_text)
{
	const struct fl_value *value = fl_field_get(d, annotations, key);

	*ret_text = value ? fl_value_string(value) : NULL;
	if (!value || *ret_text)
		return 0;
	return fl_field_warn(d, value, key,
			     "annotations are text, write %.40s in quotes; weight %u is used",
			     fl_value_text(value) ? fl_value_text(value) : "it", instead);
}

static int read_all(struct fl_decoding *d, const struct fl_value *annotations, uint16_t *ret_weight)
{
	const char *text;
	int rc = read_text(d, annotations, FL_WEIGHT_ANNOTATION, *ret_weight, &text);

	if (rc || !text || parse_weight(text, ret_weight))
		return rc;
	return fl_field_warn(d, fl_value_get(annotations, FL_WEIGHT_ANNOTATION),
			     FL_WEIGHT_ANNOTATION,
			     "\"%.40s\" is no whole number from 0 to %d; weight %u is used", text,
			     FL_WEIGHT_MAX, *ret_weight);
}

static char *trim(char *text)
{
	char *end;

	while (isspace((unsigned char)*text))
		text++;
	end = text + strlen(text);
	while (end > text && isspace((unsigned char)end[-1]))
		*--end = '\0';
	return text;
}

static struct place *find(const struct weights *w, const struct fl_ip *ip)
{
	const struct place key = {.ip = *ip};
	struct place *found =
		w->n ? bsearch(&key, w->places, w->n, sizeof(key), compare_ips) : NULL;

	/* the first of several with one address */
	while (found && found > w->places && fl_ip_equal(&found[-1].ip, ip))
		found--;
	return found;
}

/* "ADDRESS=WEIGHT", which is cut. */
static int read_one(struct fl_decoding *d, const struct fl_value *value, struct weights *w,
		    char *item)
{
	char *equals = strchr(item, '=');
	const char *address, *text;
	struct place *place;
	struct fl_ip ip;
	uint16_t weight;

	if (!equals)
		return fl_field_warn(d, value, FL_WEIGHTS_ANNOTATION,
				     "\"%.60s\" is not ADDRESS=WEIGHT, ignored", item);
	*equals = '\0';
	address = trim(item);
	text = trim(equals + 1);
	if (fl_ip_parse(address, &ip))
		return fl_field_warn(d, value, FL_WEIGHTS_ANNOTATION,
				     "\"%.60s\" is no IP address, ignored", address);
	place = find(w, &ip);
	if (!place)
		return fl_field_warn(d, value, FL_WEIGHTS_ANNOTATION,
				     "%.60s is no endpoint of this slice, ignored", address);
	if (place->given)
		return fl_field_warn(d, value, FL_WEIGHTS_ANNOTATION,
				     "%.60s has a weight already, %.40s is ignored", address, text);
	if (!parse_weight(text, &weight))
		return fl_field_warn(d, value, FL_WEIGHTS_ANNOTATION,
				     "\"%.40s\" of %.60s is no whole number from 0 to %d; weight "
				     "%u is used",
				     text, address, FL_WEIGHT_MAX, w->all);
	place->given = true;
	for (; place < w->places + w->n && fl_ip_equal(&place->ip, &ip); place++)
		w->slice->endpoints[place->endpoint].weight = weight;
	return 0;
}

static int read_each(struct fl_decoding *d, const struct fl_value *annotations, struct weights *w)
{
	const struct fl_value *value = fl_value_get(annotations, FL_WEIGHTS_ANNOTATION);
	_cleanup_free_ char *copy = NULL;
	const char *text;
	char *rest, *item;
	int rc = read_text(d, annotations, FL_WEIGHTS_ANNOTATION, w->all, &text);

	if (rc || !text)
		return rc;
	copy = strdup(text);
	w->places = calloc(w->slice->n_endpoints + 1, sizeof(*w->places));
	if (!copy || !w->places)
		return -ENOMEM;
	for (; w->n < w->slice->n_endpoints; w->n++)
		w->places[w->n] =
			(struct place){.ip = w->slice->endpoints[w->n].ip, .endpoint = w->n};
	qsort(w->places, w->n, sizeof(*w->places), compare_places);
	for (rest = copy; !rc && (item = strsep(&rest, ","));) {
		item = trim(item);
		if (*item)
			rc = read_one(d, value, w, item);
	}
	return rc;
}

int fl_decode_weights(struct fl_decoding *d, const struct fl_value *root, struct fl_slice *slice)
{
	struct weights w = {.slice = slice, .all = FL_WEIGHT_DEFAULT};
	size_t mark;
	const struct fl_value *annotations = fl_field_enter_annotations(d, root, &mark);
	int rc = read_all(d, annotations, &w.all);

	for (size_t i = 0; i < slice->n_endpoints; i++)
		slice->endpoints[i].weight = w.all;
	if (!rc)
		rc = read_each(d, annotations, &w);
	fl_field_leave(d, mark);
	free(w.places);
	return rc;
}
