/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Status without an agent: devices and cgroup are those that pinned programs are attached to. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lb/api/api.h"
#include "lb/api/render.h"
#include "lb/base/cleanup.h"
#include "lb/base/words.h"
#include "lb/dp/dp.h"
#include "tools/cli.h"
#include "tools/status.h"

/* The mode that an agent would name for a place, and whether it is the pods' side. */
static void read_place(const struct fl_dp_attachment *a, struct fl_api_device *device)
{
	enum fl_dp_mode mode = FL_DP_TC;

	if (!strcmp(a->hook, "xdp"))
		mode = strcmp(a->via, "generic") ? FL_DP_XDP : FL_DP_XDP_GENERIC;
	device->name = a->device;
	device->ifindex = a->ifindex;
	device->hook = fl_word_of(fl_dp_mode_words, (int)mode);
	device->role = strncmp(a->program, "fl_pod_", 7) ? "external" : "pod";
}

/* A device has several hooks; the first, in the order of a packet, says how it is served. */
static size_t list_devices(const struct fl_dp_status *pins, struct fl_api_device *devices,
			   const char **ret_cgroup)
{
	size_t n = 0;

	*ret_cgroup = NULL;
	for (size_t i = 0; i < pins->n; i++) {
		const struct fl_dp_attachment *a = &pins->items[i];

		if (a->cgroup)
			*ret_cgroup = a->cgroup;
		if (a->ifindex && *a->device && (!n || devices[n - 1].ifindex != a->ifindex))
			read_place(a, &devices[n++]);
	}
	return n;
}

int fl_status_from_pins(const struct fl_view *view, const struct fl_cli *cli, const void *arg,
			struct fl_json *json, struct fl_err *err)
{
	_cleanup_(fl_dp_status_fini) struct fl_dp_status pins = {0};
	struct fl_api_status status = {.agent = cli->agent, .bpffs = cli->bpffs, .drift = -1};
	_cleanup_free_ struct fl_api_device *devices = NULL;

	/* a user who may not read the links still sees the maps */
	(void)fl_dp_status(cli->bpffs, &pins, NULL);
	devices = calloc(pins.n + 1, sizeof(*devices));
	if (!devices)
		return fl_err_set(err, -ENOMEM, "no memory");
	status.n_devices = list_devices(&pins, devices, &status.cgroup);
	status.devices = devices;
	if (fl_render_status(view, &status, NULL, json))
		return fl_err_set(err, -ENOMEM, "no memory");
	return 0;
}
