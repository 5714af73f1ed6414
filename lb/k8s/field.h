/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Inside of decode.h: typed access to the fields of the object at hand. A field of the wrong type
 * or out of range is reported with its path and line, and the function returns -EINVAL. Absent and
 * null fields are the same (rule 10.2).
 */
#pragma once

#include "lb/base/words.h"
#include "lb/k8s/decode.h"

#define FL_FIELD_MAX_WARNINGS 10 /* of one object; the rest is counted */
#define FL_NAME_MAX 253		 /* a DNS subdomain */
#define FL_SERVICE_NAME_LABEL "kubernetes.io/service-name"

struct fl_decoding {
	const char *file;
	const struct fl_decode_sink *sink;
	/* the object at hand */
	enum fl_kind kind;
	const char *kind_name;
	const char *ns, *name; /* NULL until they are known */
	bool foreign;	       /* of a kind that is not ours */
	unsigned int line;
	unsigned int n_warnings;
	char path[160]; /* of the value at hand: "spec.ports[2]" */
	size_t path_len;
};

/* Report and return -EINVAL (or the sink's or -ENOMEM's code). `value` may be NULL. */
int fl_field_error(struct fl_decoding *d, const struct fl_value *value, const char *key,
		   const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* Report what is left out and return 0 to go on. */
int fl_field_warn(struct fl_decoding *d, const struct fl_value *value, const char *key,
		  const char *fmt, ...) __attribute__((format(printf, 4, 5)));
int fl_field_note(struct fl_decoding *d, const struct fl_value *value, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Tell how many warnings were withheld, if any. */
int fl_field_flush(struct fl_decoding *d);

/* Go into a member (or one of its items) and come back; leave() takes what enter() gave. */
size_t fl_field_enter(struct fl_decoding *d, const char *key);
size_t fl_field_enter_item(struct fl_decoding *d, const char *key, size_t index);
void fl_field_leave(struct fl_decoding *d, size_t mark);
/* Go into the annotations of the object `root`, and return them: a map, or NULL. */
const struct fl_value *fl_field_enter_annotations(struct fl_decoding *d,
						  const struct fl_value *root, size_t *ret_mark);

/* A member, or NULL when it is absent or null, or `map` is no map. */
const struct fl_value *fl_field_get(struct fl_decoding *d, const struct fl_value *map,
				    const char *key);
/* Whether there is such a member, even if it is null. */
bool fl_field_is_present(struct fl_decoding *d, const struct fl_value *map, const char *key);

/* The members that the API knows, ended by a NULL name. */
struct fl_field_key {
	const char *name;
	bool read; /* by this decoder */
};
/* Warn of members that look like a mistyped field that is read. */
int fl_field_check_keys(struct fl_decoding *d, const struct fl_value *map,
			const struct fl_field_key *keys);

int fl_field_map(struct fl_decoding *d, const struct fl_value *map, const char *key,
		 const struct fl_value **ret_value); /* NULL when absent */
int fl_field_list(struct fl_decoding *d, const struct fl_value *map, const char *key, size_t max,
		  const struct fl_value **ret_value); /* NULL when absent */
/* Zeroed memory for an element per item of a list; NULL with *ret_rc 0 when there are none. */
void *fl_field_room(struct fl_decoding *d, const struct fl_value *map, const char *key, size_t max,
		    size_t size, int *ret_rc);
/* Call fn for each item of a list, which fl_field_list() or fl_field_room() has checked, with the
 * path at the item. Stops at non-zero, which is returned. */
typedef int (*fl_field_item_fn)(struct fl_decoding *d, const struct fl_value *item, void *arg);
int fl_field_each(struct fl_decoding *d, const struct fl_value *map, const char *key,
		  fl_field_item_fn fn, void *arg);
/* The item itself must be a map, or a string. */
int fl_field_item_map(struct fl_decoding *d, const struct fl_value *item);
int fl_field_item_string(struct fl_decoding *d, const struct fl_value *item, const char **ret_text);
int fl_field_string(struct fl_decoding *d, const struct fl_value *map, const char *key,
		    const char **ret_text); /* "" when absent */
int fl_field_int(struct fl_decoding *d, const struct fl_value *map, const char *key, int64_t min,
		 int64_t max, int64_t absent, int64_t *ret_number);
int fl_field_bool(struct fl_decoding *d, const struct fl_value *map, const char *key, bool absent,
		  bool *ret_flag);
/* One of `words`; "" is as absent. */
int fl_field_word(struct fl_decoding *d, const struct fl_value *map, const char *key,
		  const struct fl_word *words, int absent, int *ret_value);
/* A name as Kubernetes allows them: lower case letters, digits, '-' and '.'; "" when absent. */
int fl_field_name(struct fl_decoding *d, const struct fl_value *map, const char *key,
		  const char **ret_name);
/* Any text without control characters, of the length of a name at most; "" when absent. */
int fl_field_text(struct fl_decoding *d, const struct fl_value *map, const char *key,
		  const char **ret_text);
/* The same two as a copy the caller owns. */
int fl_field_name_copy(struct fl_decoding *d, const struct fl_value *map, const char *key,
		       char **ret_name);
int fl_field_text_copy(struct fl_decoding *d, const struct fl_value *map, const char *key,
		       char **ret_text);
int fl_field_proto(struct fl_decoding *d, const struct fl_value *map, uint8_t *ret_proto);

/* Why an address can be neither backend nor frontend (robustness C6), or NULL when it can. */
const char *fl_field_forbidden(const struct fl_ip *ip);

/* The kinds. `root` is the object; metadata has been read into `d`. */
int fl_decode_service(struct fl_decoding *d, const struct fl_value *root,
		      struct fl_service **ret_service);
/* What can be read of a Service that is at fault. NULL: no memory. */
struct fl_service *fl_decode_sketch(const struct fl_value *root, const char *ns, const char *name);
/* *ret_slice is NULL for a slice that is skipped (FQDN). */
int fl_decode_slice(struct fl_decoding *d, const struct fl_value *root,
		    struct fl_slice **ret_slice);
int fl_decode_node(struct fl_decoding *d, const struct fl_value *root, struct fl_node **ret_node);
int fl_decode_pod(struct fl_decoding *d, const struct fl_value *root, struct fl_pod **ret_pod);

/*
 * Parts of a Service that are lists of addresses. The first also finds out whether it is headless.
 */
int fl_decode_cluster_ips(struct fl_decoding *d, const struct fl_value *spec, struct fl_service *s);
int fl_decode_external_ips(struct fl_decoding *d, const struct fl_value *spec,
			   struct fl_service *s);
int fl_decode_source_ranges(struct fl_decoding *d, const struct fl_value *spec,
			    struct fl_service *s);
/* The addresses of the load balancer: from `status`, or without one from `spec`. */
int fl_decode_ingress(struct fl_decoding *d, const struct fl_value *root, struct fl_service *s);
