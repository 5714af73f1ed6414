// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A switch floods frames whose station it does not know, and a device that is promiscuous takes in
 * everything. What is another host's the datapath must leave alone, as the kernel's stack does; so
 * it is told the addresses that the stack takes.
 */
#include "lb/host/macs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/array.h"
#include "lb/base/cleanup.h"

static int compare(const void *a, const void *b)
{
	const struct fl_mac_pair *x = a, *y = b;

	return memcmp(&x->key, &y->key, sizeof(x->key));
}

/* The device whose address counts at its ports too: the kernel hands their frames up to it. */
static const struct fl_netdev *upper_of(const struct fl_network *network,
					const struct fl_netdev *device)
{
	static const char *const kinds[] = {"bridge", "bond", "team"};
	const struct fl_netdev *master =
		device->master ? fl_network_device(network, device->master) : NULL;

	for (size_t i = 0; master && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(master->kind, kinds[i]))
			return master;
	return NULL;
}

/* A macvlan of this namespace; those of pods are in theirs. */
static bool is_macvlan_above(const struct fl_netdev *device, const struct fl_netdev *lower)
{
	return device->link == lower->ifindex && !strcmp(device->kind, "macvlan");
}

/* A device, the one above it, and macvlans above either. */
static bool belongs_to(const struct fl_netdev *owner, const struct fl_netdev *device,
		       const struct fl_netdev *upper)
{
	return owner == device || owner == upper || is_macvlan_above(owner, device) ||
	       (upper && is_macvlan_above(owner, upper));
}

static bool has_address(const struct fl_netdev *device)
{
	static const uint8_t none[sizeof(device->mac)];

	return !device->loopback && !device->headerless &&
	       memcmp(device->mac, none, sizeof(none)) != 0;
}

static bool may_own(const struct fl_network *network, const struct fl_netdev *owner,
		    const struct fl_netdev *device)
{
	return has_address(owner) && belongs_to(owner, device, upper_of(network, device));
}

/* Only devices that have ports or are macvlans can own addresses of others. */
static bool is_shared(const struct fl_network *network, const struct fl_netdev *device,
		      const struct fl_device_rules *rules)
{
	if (!strcmp(device->kind, "macvlan"))
		return fl_device_role(network, device, rules) == FL_ROLE_NONE;
	return !strcmp(device->kind, "bridge") || !strcmp(device->kind, "bond") ||
	       !strcmp(device->kind, "team");
}

struct mac_list {
	struct fl_mac_pair *pairs;
	size_t n, room;
};

static void mac_list_fini(struct mac_list *list)
{
	free(list->pairs);
}

static int add(struct mac_list *list, const struct fl_netdev *device, const struct fl_netdev *owner)
{
	struct fl_mac_pair pair = {.key.ifindex = device->ifindex, .value = 1};

	if (FL_ARRAY_ROOM(list->pairs, list->room, list->n + 1))
		return -ENOMEM;
	memcpy(pair.key.mac, owner->mac, sizeof(pair.key.mac));
	list->pairs[list->n++] = pair;
	return 0;
}

int fl_mac_pairs(const struct fl_network *network, const struct fl_device_rules *rules,
		 struct fl_mac_pair **ret_pairs, size_t *ret_n)
{
	_cleanup_free_ const struct fl_netdev **shared =
		calloc(network->n_devices + 1, sizeof(*shared));
	_cleanup_(mac_list_fini) struct mac_list list = {0};
	size_t n_shared = 0, kept = 0;
	int r = shared ? 0 : -ENOMEM;

	for (size_t i = 0; !r && i < network->n_devices; i++)
		if (is_shared(network, &network->devices[i], rules))
			shared[n_shared++] = &network->devices[i];
	for (size_t i = 0; !r && i < network->n_devices; i++) {
		const struct fl_netdev *device = &network->devices[i];

		if (device->loopback || device->headerless)
			continue;
		if (has_address(device))
			r = add(&list, device, device);
		for (size_t j = 0; !r && j < n_shared; j++)
			if (shared[j] != device && may_own(network, shared[j], device))
				r = add(&list, device, shared[j]);
	}
	if (r)
		return r;
	if (list.n)
		qsort(list.pairs, list.n, sizeof(*list.pairs), compare);
	for (size_t i = 0; i < list.n; i++)
		if (!kept || compare(&list.pairs[kept - 1], &list.pairs[i]))
			list.pairs[kept++] = list.pairs[i];
	*ret_pairs = TAKE_PTR(list.pairs);
	*ret_n = kept;
	return 0;
}

int fl_own_macs_write(const struct fl_network *network, __u64 *macs, size_t n)
{
	_cleanup_free_ __u64 *wanted = calloc(n, sizeof(*wanted));

	if (!wanted)
		return -ENOMEM;
	/* by ifindex: the first to come has the place, and network cards come before pods */
	for (size_t i = 0; i < network->n_devices; i++) {
		const struct fl_netdev *device = &network->devices[i];
		__u64 *own = &wanted[device->ifindex % n];
		__u32 low;
		__u16 high;

		if (*own || !has_address(device))
			continue;
		memcpy(&low, device->mac, sizeof(low));
		memcpy(&high, device->mac + sizeof(low), sizeof(high));
		*own = fl_own_mac(device->ifindex, low, high);
	}
	for (size_t i = 0; i < n; i++)
		if (__atomic_load_n(&macs[i], __ATOMIC_RELAXED) != wanted[i])
			__atomic_store_n(&macs[i], wanted[i], __ATOMIC_RELAXED);
	return 0;
}
