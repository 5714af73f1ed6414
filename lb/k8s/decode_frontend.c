/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The addresses of a Service: ClusterIPs, externalIPs, those of the load balancer, and its source
 * ranges. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lb/k8s/field.h"
#include "lb/model/names.h"

#define MAX_ADDRESSES 1024
#define MAX_RANGES 4096

static int parse_cluster_ip(struct fl_decoding *d, const struct fl_value *value, const char *text,
			    struct fl_ip *ret_ip)
{
	const char *why;

	if (fl_ip_parse(text, ret_ip))
		return fl_field_error(d, value, NULL, "\"%.60s\" is no IP address", text);
	why = fl_field_forbidden(ret_ip);
	return why ? fl_field_error(d, value, NULL, "%.60s is %s", text, why) : 0;
}

/* The families that spec names, in their order. */
struct families {
	struct fl_service *service;
	enum fl_family order[FL_FAMILIES];
	size_t n;
};

static int read_family(struct fl_decoding *d, const struct fl_value *item, void *arg)
{
	struct families *families = arg;
	const char *name;
	int family, rc = fl_field_item_string(d, item, &name);

	if (rc)
		return rc;
	if (!fl_word_value(fl_family_words, name, &family))
		return fl_field_error(d, item, NULL, "\"%.60s\" is none of IPv4, IPv6", name);
	families->order[families->n++] = (enum fl_family)family;
	families->service->families[family] = true;
	return 0;
}

/* Without ipFamilies a policy of two stacks names both. */
static int read_families(struct fl_decoding *d, const struct fl_value *spec,
			 struct families *families)
{
	static const struct fl_word policies[] = {{"SingleStack", false},
						  {"PreferDualStack", true},
						  {"RequireDualStack", true},
						  {NULL, 0}};
	const struct fl_value *list;
	int both, rc = fl_field_list(d, spec, "ipFamilies", FL_FAMILIES, &list);

	if (!rc)
		rc = fl_field_each(d, spec, "ipFamilies", read_family, families);
	if (!rc)
		rc = fl_field_word(d, spec, "ipFamilyPolicy", policies, false, &both);
	if (!rc && both && !families->n)
		families->service->families[FL_IPV4] = families->service->families[FL_IPV6] = true;
	return rc;
}

/*
 * Rule 1.12: clusterIPs in the order of ipFamilies, or clusterIP for its own family when there are
 * none. An entry of ipFamilies beyond clusterIPs has no address.
 */
static int read_cluster_ip(struct fl_decoding *d, const struct fl_value *value, const char *text,
			   const struct families *families, size_t i)
{
	struct fl_service *s = families->service;
	enum fl_family family;
	struct fl_ip ip;
	int rc = parse_cluster_ip(d, value, text, &ip);

	if (rc)
		return rc;
	family = fl_ip_family(&ip);
	if (families->n && family != families->order[i])
		return fl_field_error(d, value, NULL, "%.60s is not of family %s", text,
				      fl_family_name(families->order[i]));
	if (!s->has_cluster_ip[family]) {
		s->has_cluster_ip[family] = true;
		s->cluster_ip[family] = ip;
	}
	return 0;
}

static int read_cluster_ips(struct fl_decoding *d, const struct fl_value *list,
			    const struct families *families)
{
	const size_t n = families->n ? families->n : FL_FAMILIES;
	size_t i = 0;

	FL_VALUE_EACH(item, list)
	{
		size_t mark;
		const char *text;
		int rc;

		if (i == n)
			break;
		mark = fl_field_enter_item(d, "clusterIPs", i);
		rc = fl_field_item_string(d, item, &text);
		if (!rc)
			rc = read_cluster_ip(d, item, text, families, i++);
		if (rc)
			return rc;
		fl_field_leave(d, mark);
	}
	return 0;
}

/*
 * Manifests that no API server has completed have no ClusterIP, as `helm template` and `kubectl
 * create --dry-run` print them. Such a Service is served by its other addresses; only "None" is
 * headless.
 */
int fl_decode_cluster_ips(struct fl_decoding *d, const struct fl_value *spec, struct fl_service *s)
{
	struct families families = {.service = s};
	const struct fl_value *list;
	const char *text, *first;
	size_t mark;
	int rc = fl_field_string(d, spec, "clusterIP", &text);

	if (!rc)
		rc = fl_field_list(d, spec, "clusterIPs", FL_FAMILIES, &list);
	if (!rc)
		rc = read_families(d, spec, &families);
	if (rc)
		return rc;
	first = fl_value_string(fl_value_first(list));
	s->headless = !strcmp(*text || !first ? text : first, "None");
	if (s->headless)
		return 0;
	if (fl_value_count(list) && (families.n || !*text))
		return read_cluster_ips(d, list, &families);
	if (!*text)
		return 0;
	mark = fl_field_enter(d, "clusterIP");
	rc = read_cluster_ip(d, fl_value_get(spec, "clusterIP"), text, &families, 0);
	if (!rc)
		fl_field_leave(d, mark);
	return rc;
}

/*
 * An address of a frontend: rule 2.2 leaves unparsable ones out with a message; robustness C6 the
 * addresses that must not be taken over. False: leave it out.
 */
static int frontend_ip(struct fl_decoding *d, const struct fl_value *value, const char *key,
		       const char *text, struct fl_ip *ret_ip, bool *ret_usable)
{
	const char *why;

	*ret_usable = false;
	if (fl_ip_parse(text, ret_ip))
		return fl_field_warn(d, value, key, "\"%.60s\" is no IP address, left out", text);
	why = fl_field_forbidden(ret_ip);
	if (why)
		return fl_field_warn(d, value, key, "%.60s is %s, refused", text, why);
	*ret_usable = true;
	return 0;
}

static int read_external_ip(struct fl_decoding *d, const struct fl_value *item, void *arg)
{
	struct fl_service *s = arg;
	bool usable = false;
	const char *text;
	int rc = fl_field_item_string(d, item, &text);

	if (!rc && *text)
		rc = frontend_ip(d, item, NULL, text, &s->external_ips[s->n_external_ips], &usable);
	s->n_external_ips += usable;
	return rc;
}

int fl_decode_external_ips(struct fl_decoding *d, const struct fl_value *spec, struct fl_service *s)
{
	int rc;

	s->external_ips =
		fl_field_room(d, spec, "externalIPs", MAX_ADDRESSES, sizeof(*s->external_ips), &rc);
	return rc ? rc : fl_field_each(d, spec, "externalIPs", read_external_ip, s);
}

static int read_ingress(struct fl_decoding *d, const struct fl_value *item, void *arg)
{
	struct fl_service *s = arg;
	struct fl_lb_ingress *ingress = &s->ingress[s->n_ingress];
	const char *text, *mode;
	int rc = fl_field_item_map(d, item);

	if (!rc)
		rc = fl_field_string(d, item, "ip", &text);
	if (!rc)
		rc = fl_field_string(d, item, "ipMode", &mode);
	if (!rc && *text)
		rc = frontend_ip(d, fl_value_get(item, "ip"), "ip", text, &ingress->ip,
				 &ingress->has_ip);
	if (rc)
		return rc;
	/* rule 2.3: only an absent mode or VIP makes a frontend, whatever else may come to exist */
	ingress->proxy = *mode && strcmp(mode, "VIP");
	s->n_ingress++;
	if (ingress->proxy && strcmp(mode, "Proxy"))
		return fl_field_warn(d, item, "ipMode", "\"%.60s\" is unknown, taken as Proxy",
				     mode);
	return 0;
}

/*
 * The address that a LoadBalancer asks for. Where nothing assigns addresses, which is where a
 * manifest has no status, that is the one it has.
 */
static int read_load_balancer_ip(struct fl_decoding *d, const struct fl_value *root,
				 struct fl_service *s)
{
	const struct fl_value *spec = fl_value_get(root, "spec");
	bool usable = false;
	const char *text;
	size_t mark = fl_field_enter(d, "spec");
	int rc = fl_field_string(d, spec, "loadBalancerIP", &text);

	if (rc || !*text || s->type != FL_SERVICE_LOAD_BALANCER || s->n_ingress) {
		fl_field_leave(d, mark);
		return rc;
	}
	s->ingress = calloc(1, sizeof(*s->ingress));
	if (!s->ingress)
		return -ENOMEM;
	rc = frontend_ip(d, fl_value_get(spec, "loadBalancerIP"), "loadBalancerIP", text,
			 &s->ingress->ip, &usable);
	s->ingress->has_ip = usable;
	s->n_ingress = usable;
	fl_field_leave(d, mark);
	return rc;
}

/* Rules 1.15 and 2.3: the load balancer's addresses are read whatever the type is. */
int fl_decode_ingress(struct fl_decoding *d, const struct fl_value *root, struct fl_service *s)
{
	const struct fl_value *status, *lb;
	int rc = fl_field_map(d, root, "status", &status);

	if (rc)
		return rc;
	fl_field_enter(d, "status");
	rc = fl_field_map(d, status, "loadBalancer", &lb);
	if (rc)
		return rc;
	fl_field_enter(d, "loadBalancer");
	s->ingress = fl_field_room(d, lb, "ingress", MAX_ADDRESSES, sizeof(*s->ingress), &rc);
	if (!rc)
		rc = fl_field_each(d, lb, "ingress", read_ingress, s);
	if (rc)
		return rc;
	fl_field_leave(d, 0);
	return read_load_balancer_ip(d, root, s);
}

/* Rule 5.6.2: blanks around a range are trimmed, what cannot be read is left out. */
static int read_source_range(struct fl_decoding *d, const struct fl_value *item, void *arg)
{
	struct fl_service *s = arg;
	char trimmed[FL_PREFIX_STRLEN + 32] = "";
	const char *text;
	size_t len;
	int rc = fl_field_item_string(d, item, &text);

	if (rc)
		return rc;
	text += strspn(text, " \t\r\n");
	len = strlen(text);
	while (len && strchr(" \t\r\n", text[len - 1]))
		len--;
	if (len < sizeof(trimmed))
		memcpy(trimmed, text, len);
	if (fl_prefix_parse(trimmed, &s->source_ranges[s->n_source_ranges]))
		return fl_field_warn(d, item, NULL, "\"%.60s\" is no address range, left out",
				     fl_value_string(item));
	s->n_source_ranges++;
	return 0;
}

int fl_decode_source_ranges(struct fl_decoding *d, const struct fl_value *spec,
			    struct fl_service *s)
{
	int rc;

	s->source_ranges = fl_field_room(d, spec, "loadBalancerSourceRanges", MAX_RANGES,
					 sizeof(*s->source_ranges), &rc);
	return rc ? rc : fl_field_each(d, spec, "loadBalancerSourceRanges", read_source_range, s);
}
