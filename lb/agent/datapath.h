/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What settings, the Node object and the machine mean for the datapath: the options its rooms are
 * opened with, and the configuration its programs are loaded with. Nothing here touches the kernel.
 */
#pragma once

#include "lb/dp/dp.h"
#include "lb/host/devices.h"
#include "lb/host/host.h"
#include "lb/model/detect.h"
#include "lb/settings/settings.h"
#include "lb/sync/sync.h"

/* How pods are told from other clients (5.2: by CIDR or by device). -EINVAL names the setting. */
int fl_datapath_detector(const struct fl_settings *settings, const struct fl_node *node,
			 struct fl_detect *ret_detect, struct fl_err *err);

/* Setting masqueradeAddresses, as it was read last. */
void fl_datapath_set_masquerade(struct fl_host *host, const struct fl_settings *settings);

/* Borrows from settings; the Node's addresses are left to the caller. */
struct fl_device_rules fl_datapath_device_rules(const struct fl_settings *settings);

/* `node_addrs`: to masquerade with where a device has none; unspecified: the node has none. */
struct fl_live fl_datapath_live(const struct fl_settings *settings, const struct fl_detect *detect,
				const struct fl_ip node_addrs[static FL_FAMILIES],
				const struct fl_port_range source_ports[static FL_PORT_RANGES]);
/* `veth`: an external device is one. */
struct fl_config fl_datapath_config(const struct fl_settings *settings, const struct fl_live *live,
				    bool veth);

/* Borrows from settings. */
struct fl_dp_options fl_datapath_options(const struct fl_settings *settings,
					 const struct fl_config *config);
/* Without what to do about lost backends. */
struct fl_sync_options fl_datapath_sync_options(const struct fl_settings *settings,
						const struct fl_detect *detect,
						const struct fl_config *config);
