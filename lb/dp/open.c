// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Opening the datapath: lock, adopt or create the maps, set the programs' constants, load. A pinned
 * fl_meta is what makes a datapath: it is pinned last, so that a crash before leaves nothing that
 * would be adopted.
 */
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lb/base/cleanup.h"
#include "lb/dp/mountinfo.h"
#include "lb/dp/state.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

static const char *const mode_names[FL_DP_MODES] = {
	[FL_DP_AUTO] = "auto",
	[FL_DP_XDP] = "xdp",
	[FL_DP_XDP_GENERIC] = "xdp-generic",
	[FL_DP_TC] = "tc",
};

const char *fl_dp_mode_name(enum fl_dp_mode mode)
{
	return mode_names[mode];
}

int fl_dp_mode_parse(const char *text, enum fl_dp_mode *ret_mode)
{
	for (int i = 0; i < FL_DP_MODES; i++)
		if (!strcmp(text, mode_names[i])) {
			*ret_mode = i;
			return 0;
		}
	return -EINVAL;
}

static const uint32_t default_timeout_s[FL_TIMEOUTS] = {
	[FL_TIMEOUT_TCP_EMBRYONIC] = 60,
	[FL_TIMEOUT_TCP_ESTABLISHED] = 24 * 3600, /* as kube-proxy sets conntrack (rule 9.5) */
	[FL_TIMEOUT_TCP_CLOSING] = 30,
	[FL_TIMEOUT_UDP_EMBRYONIC] = 30,
	[FL_TIMEOUT_UDP_ESTABLISHED] = 120,
};

#define DEFAULT_NEXT_HOP_TTL_MS 1000
/* jiffies are compared as signed 32-bit differences: a timeout must stay well below half their
 * range */
#define MAX_TIMEOUT_JIFFIES 0x3fffffffU

static uint32_t to_jiffies(uint64_t ms, uint32_t hz)
{
	uint64_t j = (ms * hz + 999) / 1000;

	return j > MAX_TIMEOUT_JIFFIES ? MAX_TIMEOUT_JIFFIES : (uint32_t)j;
}

static uint32_t round_up_power_of_two(uint32_t n)
{
	uint32_t p = 1;

	while (p < n && p < 1U << 31)
		p <<= 1;
	return p;
}

/* The size asked for of each map; 0 = whatever there is. */
static void wanted_sizes(const struct fl_dp_sizes *s, uint32_t ret_sizes[FL_MAPS])
{
	uint32_t flows4 = s->flow_buckets4 ? round_up_power_of_two(s->flow_buckets4) : 0;
	uint32_t flows6 = s->flow_buckets6 ? round_up_power_of_two(s->flow_buckets6) : 0;
	const uint32_t sizes[FL_MAPS] = {
		[FL_MAP_frontends] = s->frontends,
		[FL_MAP_backends] = s->backends,
		[FL_MAP_lines] = s->lines,
		[FL_MAP_ranges] = s->ranges,
		[FL_MAP_affinity] = s->affinity,
		[FL_MAP_members] = s->members,
		[FL_MAP_local] = s->local,
		[FL_MAP_devices] = s->devices,
		[FL_MAP_sockets] = s->sockets,
		[FL_MAP_flows4] = flows4,
		[FL_MAP_flows6] = flows6,
		[FL_MAP_overflow4] = (flows4 + FL_OVERFLOW_BITS - 1) / FL_OVERFLOW_BITS,
		[FL_MAP_overflow6] = (flows6 + FL_OVERFLOW_BITS - 1) / FL_OVERFLOW_BITS,
	};

	memcpy(ret_sizes, sizes, sizeof(sizes));
}

static int unpin_one(const char *name, void *arg)
{
	return fl_bpffs_unpin(arg, "maps", name);
}

/* Open the pinned maps, or find that there is no complete set and remove what a crash left of one.
 */
static int adopt_maps(struct fl_dp *dp, const uint32_t sizes[FL_MAPS], struct fl_err *err)
{
	int r = fl_bpffs_get(&dp->fs, "maps", "meta", false);

	if (r == -ENOENT)
		return fl_bpffs_each(&dp->fs, "maps", unpin_one, &dp->fs);
	if (r < 0)
		return fl_err_set(err, r, "cannot open %s/maps/meta: %s", dp->fs.path,
				  strerror(-r));
	close(r);
	r = fl_maps_open_pinned(dp->fs.path, true, &dp->maps, err);
	if (r == -EPROTO || r == -ENOENT)
		return fl_err_wrap(
			err, r,
			"cannot take over the running datapath (`fairlead cleanup` removes it)");
	if (r)
		return r;
	for (int i = 0; i < FL_MAPS; i++) {
		uint32_t n;

		r = fl_map_check(i, *fl_map_fd(&dp->maps, i), &n, err);
		if (r)
			return r;
		if (sizes[i] && sizes[i] != n)
			return fl_err_set(err, -EINVAL,
					  "map %s in %s has %u elements, %u are asked for: set it "
					  "back, or remove the "
					  "datapath with `fairlead cleanup` first",
					  fl_map_descs[i].name, dp->fs.path, n, sizes[i]);
	}
	dp->adopted = true;
	return 0;
}

/* Before load: hand maps that exist to the object, set the size of those it is to create. */
static int prepare_maps(struct fl_dp *dp, const struct fl_object *o, const uint32_t sizes[FL_MAPS],
			struct fl_err *err)
{
	for (int i = 0; i < FL_MAPS; i++) {
		char name[32];
		struct bpf_map *map;
		int fd = *fl_map_fd(&dp->maps, i), r = 0;

		snprintf(name, sizeof(name), "fl_%s", fl_map_descs[i].name);
		map = bpf_object__find_map_by_name(o->bpf, name);
		if (!map)
			continue;
		if (fd >= 0)
			r = bpf_map__reuse_fd(map, fd);
		else if (sizes[i])
			r = bpf_map__set_max_entries(map, sizes[i]);
		if (r)
			return fl_err_set(err, r, "cannot prepare map %s: %s", name, strerror(-r));
	}
	return 0;
}

/* The number of elements that a map has or is about to get. */
static uint32_t map_size(struct fl_dp *dp, enum fl_map_id id)
{
	char name[32];

	snprintf(name, sizeof(name), "fl_%s", fl_map_descs[id].name);
	for (int i = 0; i < FL_OBJECTS; i++) {
		struct bpf_map *map =
			dp->objects[i].bpf ? bpf_object__find_map_by_name(dp->objects[i].bpf, name)
					   : NULL;

		if (map)
			return bpf_map__max_entries(map);
	}
	return 0;
}

/* After load: keep descriptors of the maps that the object has created. */
static int collect_maps(struct fl_dp *dp, const struct fl_object *o, struct fl_err *err)
{
	for (int i = 0; i < FL_MAPS; i++) {
		char name[32];
		struct bpf_map *map;
		int *fd = fl_map_fd(&dp->maps, i), r;

		snprintf(name, sizeof(name), "fl_%s", fl_map_descs[i].name);
		map = bpf_object__find_map_by_name(o->bpf, name);
		if (!map || *fd >= 0)
			continue;
		*fd = dup(bpf_map__fd(map));
		if (*fd < 0)
			return fl_err_set(err, -errno, "cannot keep map %s: %s", name,
					  strerror(errno));
		r = fl_map_check(i, *fd, NULL, err);
		if (r)
			return r;
	}
	return 0;
}

static uint64_t netns_cookie(void)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	/* kernels before 5.14 cannot say; then node clients are known by their addresses alone */
	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len))
		return 0;
	return cookie;
}

/* Settings of the programs, from the caller's and from what is known now. */
static int make_config(struct fl_dp *dp, const struct fl_dp_options *options,
		       struct fl_config *ret_config, struct fl_err *err)
{
	struct fl_config c = options->config;
	const struct fl_meta *meta = dp->maps.meta;
	uint32_t ttl_ms =
		options->next_hop_ttl_ms ? options->next_hop_ttl_ms : DEFAULT_NEXT_HOP_TTL_MS;

	c.hz = dp->hz;
	for (int i = 0; i < FL_TIMEOUTS; i++) {
		uint32_t s = options->timeout_s[i] ? options->timeout_s[i] : default_timeout_s[i];

		c.timeout[i] = to_jiffies((uint64_t)s * 1000, dp->hz);
	}
	c.next_hop_ttl = to_jiffies(ttl_ms, dp->hz);
	c.host_netns = netns_cookie();
	c.flow4_mask = map_size(dp, FL_MAP_flows4) - 1;
	c.flow6_mask = map_size(dp, FL_MAP_flows6) - 1;
	if ((c.flow4_mask & (c.flow4_mask + 1)) || (c.flow6_mask & (c.flow6_mask + 1)))
		return fl_err_set(err, -EINVAL, "the number of flow buckets is no power of two");
	c.snat_ports = 0;
	for (int i = 0; i < FL_PORT_RANGES; i++)
		c.snat_ports += c.snat[i].count;
	/* a generic XDP program sees packets after GRO has merged them: their size says nothing */
	c.check_mtu = options->mode != FL_DP_XDP_GENERIC;
	c.set_retval = fl_dp_probe_helper(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_FUNC_set_retval);
	if (meta && (meta->flow_seed[0] || meta->flow_seed[1])) {
		c.flow_seed[0] = meta->flow_seed[0];
		c.flow_seed[1] = meta->flow_seed[1];
	} else if (getrandom(c.flow_seed, sizeof(c.flow_seed), 0) != sizeof(c.flow_seed)) {
		return fl_err_set(err, -EIO, "cannot get random numbers for the flow table");
	}
	*ret_config = c;
	return 0;
}

static int load_objects(struct fl_dp *dp, const struct fl_dp_options *options,
			const uint32_t sizes[FL_MAPS], struct fl_err *err)
{
	int r = 0;

	for (int i = 0; i < FL_OBJECTS && !r; i++)
		r = fl_object_open(i, &dp->objects[i], err);
	for (int i = 0; i < FL_OBJECTS && !r; i++) {
		struct fl_object *o = &dp->objects[i];

		r = prepare_maps(dp, o, sizes, err);
		/* the masks follow from the maps, so the first preparation comes before the
		 * settings */
		if (!r && i == 0)
			r = make_config(dp, options, &dp->config, err);
		if (r)
			break;
		*o->config = dp->config;
		r = fl_object_load(o, err);
		if (!r)
			r = collect_maps(dp, o, err);
	}
	for (int i = 0; i < FL_MAPS && !r; i++)
		if (*fl_map_fd(&dp->maps, i) < 0)
			r = fl_err_set(err, -ENOENT, "no program uses map %s",
				       fl_map_descs[i].name);
	return r;
}

/* Pin what was created; fl_meta last. */
static int pin_maps(struct fl_dp *dp, struct fl_err *err)
{
	struct fl_meta *meta = dp->maps.meta;

	if (!dp->adopted) {
		meta->abi_version = FL_ABI_VERSION;
		meta->flow_seed[0] = dp->config.flow_seed[0];
		meta->flow_seed[1] = dp->config.flow_seed[1];
	}
	meta->maglev_seed = dp->config.maglev_seed;
	/* what changed in the network while no agent ran is unknown */
	__atomic_add_fetch(&meta->next_hop_epoch, 1, __ATOMIC_SEQ_CST);
	for (int i = 0; i < FL_MAPS && !dp->adopted; i++) {
		int r = i == FL_MAP_meta ? 0
					 : fl_bpffs_pin(&dp->fs, "maps", fl_map_descs[i].name,
							*fl_map_fd(&dp->maps, i), err);

		if (r)
			return r;
	}
	return dp->adopted ? 0 : fl_bpffs_pin(&dp->fs, "maps", "meta", dp->maps.meta_fd, err);
}

static int find_cgroup(struct fl_dp *dp, const char *wanted, struct fl_err *err)
{
	if (wanted) {
		dp->cgroup = strdup(wanted);
		return dp->cgroup ? 0 : -ENOMEM;
	}
	return fl_mount_find_cgroup2(&dp->cgroup, err);
}

int fl_dp_open(const struct fl_dp_options *options, struct fl_dp **ret_dp, struct fl_err *err)
{
	_cleanup_(fl_dp_close) struct fl_dp *dp = calloc(1, sizeof(*dp));
	uint32_t sizes[FL_MAPS];
	int r;

	if (!dp)
		return fl_err_set(err, -ENOMEM, "out of memory");
	dp->fs = (struct fl_bpffs)FL_BPFFS_INIT;
	dp->maps = (struct fl_maps)FL_MAPS_INIT;
	dp->mode = options->mode;
	dp->no_tcx = options->no_tcx;
	wanted_sizes(&options->sizes, sizes);
	r = find_cgroup(dp, options->cgroup, err);
	if (!r)
		r = fl_bpffs_open(options->dir, FL_BPFFS_CREATE | FL_BPFFS_LOCK, &dp->fs, err);
	if (!r)
		r = fl_dp_probe_hz(&dp->hz, err);
	if (!r)
		r = adopt_maps(dp, sizes, err);
	if (!r)
		r = load_objects(dp, options, sizes, err);
	if (!r)
		r = fl_maps_mmap(&dp->maps, true, err);
	if (r)
		return r;
	r = pin_maps(dp, err);
	if (r)
		return r;
	dp->clock_fd = fl_dp_program(dp, "fl_clock");
	if (dp->clock_fd < 0)
		return fl_err_set(err, dp->clock_fd, "the objects have no clock program");
	r = fl_bpffs_pin(&dp->fs, "programs", "clock", dp->clock_fd, err);
	if (r)
		return r;
	*ret_dp = TAKE_PTR(dp);
	return 0;
}

void fl_dp_close(struct fl_dp **dp)
{
	struct fl_dp *d = *dp;

	if (!d)
		return;
	for (struct fl_attachment *a = d->attachments, *next; a; a = next) {
		next = a->next;
		if (a->link_fd >= 0)
			close(a->link_fd);
		free(a);
	}
	for (int i = 0; i < FL_OBJECTS; i++)
		fl_object_close(&d->objects[i]);
	fl_maps_close(&d->maps);
	fl_bpffs_close(&d->fs);
	free(d->cgroup);
	free(d);
	*dp = NULL;
}

struct fl_maps *fl_dp_maps(struct fl_dp *dp)
{
	return &dp->maps;
}

uint32_t fl_dp_hz(const struct fl_dp *dp)
{
	return dp->hz;
}

const struct fl_config *fl_dp_config(const struct fl_dp *dp)
{
	return &dp->config;
}

bool fl_dp_adopted(const struct fl_dp *dp)
{
	return dp->adopted;
}

const char *fl_dp_cgroup(const struct fl_dp *dp)
{
	return dp->cgroup;
}

int fl_dp_program(const struct fl_dp *dp, const char *name)
{
	for (int i = 0; i < FL_OBJECTS; i++) {
		struct bpf_program *p = bpf_object__find_program_by_name(dp->objects[i].bpf, name);

		if (p && bpf_program__fd(p) >= 0)
			return bpf_program__fd(p);
	}
	return -ENOENT;
}

uint64_t fl_dp_now(struct fl_dp *dp)
{
	unsigned char packet[64] = {0};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = sizeof(packet));

	if (bpf_prog_test_run_opts(dp->clock_fd, &opts))
		return 0;
	return __atomic_load_n(&dp->maps.meta->now_jiffies, __ATOMIC_RELAXED);
}
