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

static int parse_cluster_ip(struct fl_decoding *d, const struct fl_value *value, const char *key,
			    const char *text, struct fl_ip *ret_ip)
{
	const char *why;

	if (fl_ip_parse(text, ret_ip))
		return fl_field_error(d, value, key, "\"%.60s\" is no IP address", text);
	why = fl_field_forbidden(ret_ip);
	if (why)
		return fl_field_error(d, value, key, "%.60s is %s", text, why);
	return 0;
}

/* Rule 1.12: clusterIPs in the order of ipFamilies. An ipFamilies entry beyond clusterIPs has no
 * address, except that the first is clusterIP's. */
int fl_decode_cluster_ips(struct fl_decoding *d, const struct fl_value *spec,
			  const char *cluster_ip, struct fl_service *s)
{
	const struct fl_value *families, *ips, *ip_item, *value;
	struct fl_ip ip;
	size_t i = 0;
	int rc;

	rc = fl_field_list(d, spec, "ipFamilies", 2, &families);
	if (!rc)
		rc = fl_field_list(d, spec, "clusterIPs", 2, &ips);
	if (!rc)
		rc = parse_cluster_ip(d, fl_value_get(spec, "clusterIP"), "clusterIP", cluster_ip,
				      &ip);
	if (rc)
		return rc;
	if (!fl_value_count(families)) {
		s->has_cluster_ip[fl_ip_family(&ip)] = true;
		s->cluster_ip[fl_ip_family(&ip)] = ip;
		return 0;
	}
	ip_item = fl_value_first(ips);
	FL_VALUE_EACH(item, families)
	{
		size_t mark = fl_field_enter_item(d, "ipFamilies", i++);
		const char *text, *name;
		int family;

		rc = fl_field_item_string(d, item, &name);
		if (rc)
			return rc;
		if (!fl_word_value(fl_family_words, name, &family))
			return fl_field_error(d, item, NULL, "\"%.60s\" is none of IPv4, IPv6",
					      name);
		fl_field_leave(d, mark);
		if (!ip_item && i > 1)
			break;
		mark = ip_item ? fl_field_enter_item(d, "clusterIPs", i - 1)
			       : fl_field_enter(d, "clusterIP");
		value = ip_item ? ip_item : fl_value_get(spec, "clusterIP");
		text = cluster_ip;
		rc = ip_item ? fl_field_item_string(d, ip_item, &text) : 0;
		if (!rc)
			rc = parse_cluster_ip(d, value, NULL, text, &ip);
		if (!rc && (int)fl_ip_family(&ip) != family)
			rc = fl_field_error(d, value, NULL, "%.60s is not of family %s", text,
					    name);
		if (rc)
			return rc;
		fl_field_leave(d, mark);
		if (!s->has_cluster_ip[family]) {
			s->has_cluster_ip[family] = true;
			s->cluster_ip[family] = ip;
		}
		ip_item = ip_item ? fl_value_next(ip_item) : NULL;
	}
	return 0;
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

int fl_decode_external_ips(struct fl_decoding *d, const struct fl_value *spec, struct fl_service *s)
{
	const struct fl_value *list;
	size_t i = 0;
	int rc = fl_field_list(d, spec, "externalIPs", MAX_ADDRESSES, &list);

	if (rc || !fl_value_count(list))
		return rc;
	s->external_ips = calloc(fl_value_count(list), sizeof(*s->external_ips));
	if (!s->external_ips)
		return -ENOMEM;
	FL_VALUE_EACH(item, list)
	{
		size_t mark = fl_field_enter_item(d, "externalIPs", i++);
		const char *text;
		bool usable = false;

		rc = fl_field_item_string(d, item, &text);
		if (!rc && *text)
			rc = frontend_ip(d, item, NULL, text, &s->external_ips[s->n_external_ips],
					 &usable);
		if (rc)
			return rc;
		s->n_external_ips += usable;
		fl_field_leave(d, mark);
	}
	return 0;
}

static int read_ingress_item(struct fl_decoding *d, const struct fl_value *item,
			     struct fl_service *s)
{
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

/* Rules 1.15 and 2.3: the load balancer's addresses are read whatever the type is. */
int fl_decode_ingress(struct fl_decoding *d, const struct fl_value *root, struct fl_service *s)
{
	const struct fl_value *status, *lb, *list;
	size_t i = 0;
	int rc = fl_field_map(d, root, "status", &status);

	if (rc)
		return rc;
	fl_field_enter(d, "status");
	rc = fl_field_map(d, status, "loadBalancer", &lb);
	if (rc)
		return rc;
	fl_field_enter(d, "loadBalancer");
	rc = fl_field_list(d, lb, "ingress", MAX_ADDRESSES, &list);
	if (rc)
		return rc;
	if (fl_value_count(list)) {
		s->ingress = calloc(fl_value_count(list), sizeof(*s->ingress));
		if (!s->ingress)
			return -ENOMEM;
	}
	FL_VALUE_EACH(item, list)
	{
		size_t mark = fl_field_enter_item(d, "ingress", i++);

		rc = read_ingress_item(d, item, s);
		if (rc)
			return rc;
		fl_field_leave(d, mark);
	}
	fl_field_leave(d, 0);
	return 0;
}

/* Rule 5.6.2: blanks around a range are trimmed, what cannot be read is left out. */
int fl_decode_source_ranges(struct fl_decoding *d, const struct fl_value *spec,
			    struct fl_service *s)
{
	const struct fl_value *list;
	size_t i = 0;
	int rc = fl_field_list(d, spec, "loadBalancerSourceRanges", MAX_RANGES, &list);

	if (rc || !fl_value_count(list))
		return rc;
	s->source_ranges = calloc(fl_value_count(list), sizeof(*s->source_ranges));
	if (!s->source_ranges)
		return -ENOMEM;
	FL_VALUE_EACH(item, list)
	{
		size_t mark = fl_field_enter_item(d, "loadBalancerSourceRanges", i++), len;
		const char *text;
		char trimmed[FL_PREFIX_STRLEN + 32] = "";

		rc = fl_field_item_string(d, item, &text);
		if (rc)
			return rc;
		text += strspn(text, " \t\r\n");
		len = strlen(text);
		while (len && strchr(" \t\r\n", text[len - 1]))
			len--;
		if (len < sizeof(trimmed))
			memcpy(trimmed, text, len);
		if (!fl_prefix_parse(trimmed, &s->source_ranges[s->n_source_ranges]))
			s->n_source_ranges++;
		else
			rc = fl_field_warn(d, item, NULL, "\"%.60s\" is no address range, left out",
					   fl_value_string(item));
		if (rc)
			return rc;
		fl_field_leave(d, mark);
	}
	return 0;
}
