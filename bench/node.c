// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Rows 3 to 5: one contender's path. Three network namespaces in a row,
 *
 *	generator g0 --- l0 load balancer l1 --- s0 sink
 *
 * and everything on one CPU: the generator passes live frames to g0, the interrupts they raise on
 *l0 and s0 run before the next batch, and the sink counts and drops. So the CPU time of the
 *generator's thread is that of the whole path, free of other processes and of waiting between CPUs,
 *and the sink says how many packets it was for.
 *
 * Commands on stdin, a line each: "prepare N", "run FLOWS PACKETS" (0 flows: each packet is a new
 *one), "flush", "reasons". An answer is a JSON line. The first answer names the process and the
 *descriptor of the load balancer's namespace, where bench/run puts the rules of iptables and
 *nftables.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/conntrack.h"
#include "conntrack/table.h"
#include "lb/base/cleanup.h"
#include "veth.skel.h"

struct node {
	uint32_t services;
	int generator_ns, lb_ns, sink_ns;
	struct veth *veth;
	struct bench_fairlead fairlead;
	bool is_fairlead, tc;
	unsigned int g0, l0, l1, s0;
	uint8_t l0_mac[6];
	uint64_t next; /* first flow number not used */
};

static void node_fini(struct node *n)
{
	bench_fairlead_close(&n->fairlead);
	veth__destroy(n->veth);
	fl_closep(&n->generator_ns);
	fl_closep(&n->lb_ns);
	fl_closep(&n->sink_ns);
}

static int in_generator(struct node *n, struct fl_err *err)
{
	return bench_netns_enter(n->generator_ns, err);
}

static int in_lb(struct node *n, struct fl_err *err)
{
	return bench_netns_enter(n->lb_ns, err);
}

static int make_sides(struct node *n, struct fl_err *err)
{
	int rc = bench_netns_new(&n->lb_ns, err);

	if (!rc)
		rc = bench_netns_new(&n->generator_ns, err);
	if (!rc)
		rc = bench_ip(err,
			      "link add g0 type veth peer name l0 netns /proc/%d/fd/%d\n"
			      "link set g0 address 02:00:00:00:00:01 up\n"
			      "addr add 198.18.0.2/24 dev g0\n",
			      getpid(), n->lb_ns);
	if (!rc)
		rc = bench_device("g0", &n->g0, NULL, err);
	if (!rc)
		rc = bench_netns_new(&n->sink_ns, err);
	if (!rc)
		rc = bench_ip(err,
			      "link add s0 type veth peer name l1 netns /proc/%d/fd/%d\n"
			      "link set s0 address 02:00:00:00:00:02 up\n"
			      "addr add 198.19.0.2/24 dev s0\n",
			      getpid(), n->lb_ns);
	if (!rc)
		rc = bench_device("s0", &n->s0, NULL, err);
	if (!rc && bpf_xdp_attach(n->s0, bpf_program__fd(n->veth->progs.bench_sink),
				  XDP_FLAGS_DRV_MODE, NULL))
		rc = fl_err_set(err, -errno, "cannot attach the sink: %s", strerror(errno));
	return rc;
}

static int make_middle(struct node *n, struct fl_err *err)
{
	int rc = in_lb(n, err);

	if (!rc)
		rc = bench_ip(err,
			      "link set l0 up\n"
			      "link set l1 up\n"
			      "addr add 198.18.0.1/24 dev l0\n"
			      "addr add 198.19.0.1/24 dev l1\n"
			      "neigh add 198.18.0.2 lladdr 02:00:00:00:00:01 dev l0 nud permanent\n"
			      "neigh add 198.19.0.2 lladdr 02:00:00:00:00:02 dev l1 nud permanent\n"
			      "route add 11.0.0.0/8 via 198.18.0.2\n"
			      "route add default via 198.19.0.2\n");
	if (!rc)
		rc = bench_sysctl("net/ipv4/ip_forward", "1", err);
	if (!rc)
		rc = bench_sysctl("net/ipv4/conf/all/rp_filter", "0", err);
	if (!rc)
		rc = bench_sysctl("net/ipv4/conf/l0/rp_filter", "0", err);
	/* without GRO or an XDP program a veth takes no frames; UDP is not merged by it */
	if (!rc && system("ethtool -K l0 gro on >/dev/null"))
		rc = fl_err_set(err, -EIO, "ethtool failed");
	if (!rc)
		rc = bench_device("l0", &n->l0, n->l0_mac, err);
	if (!rc)
		rc = bench_device("l1", &n->l1, NULL, err);
	return rc;
}

static int open_contender(struct node *n, const char *contender, uint32_t endpoints,
			  struct fl_err *err)
{
	struct bench_fairlead_options options = {
		.mode = n->tc ? FL_DP_TC : FL_DP_XDP,
		.services = n->services,
		.endpoints = endpoints,
		.ports = BENCH_UDP4,
	};
	int rc;

	if (!strcmp(contender, "floor")) {
		n->veth->data_floor->floor_device = n->l1;
		if (bpf_xdp_attach(n->l0, bpf_program__fd(n->veth->progs.bench_floor),
				   XDP_FLAGS_DRV_MODE, NULL))
			return fl_err_set(err, -errno, "cannot attach the floor: %s",
					  strerror(errno));
	}
	if (!n->is_fairlead)
		return 0;
	rc = bench_fairlead_open(&options, &n->fairlead, err);
	if (!rc)
		rc = bench_services_apply(n->fairlead.services, n->fairlead.sync, err);
	if (!rc)
		rc = bench_fairlead_attach(&n->fairlead, "l0", "198.18.0.1", NULL, err);
	if (!rc)
		rc = bench_fairlead_attach(&n->fairlead, "l1", "198.19.0.1", NULL, err);
	return rc;
}

/* Commands */

static int run(struct node *n, uint64_t flows, uint32_t packets, struct fl_err *err)
{
	struct bench_job *job = &n->veth->data_jobs->jobs[sched_getcpu() & (BENCH_CPUS - 1)];
	const volatile __typeof__(*n->veth->data_sink) *sink = n->veth->data_sink;
	uint64_t created =
		n->is_fairlead ? bench_fairlead_counter(&n->fairlead, FL_COUNTER_FLOW_NEW) : 0;
	uint8_t in[80] = {0};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_size_in = sizeof(in),
		    .repeat = packets, .batch_size = 64, .flags = BPF_F_TEST_XDP_LIVE_FRAMES);
	uint64_t before, ns, arrived, translated;
	int rc = in_generator(n, err);

	if (rc)
		return rc;
	*job = (struct bench_job){
		.next = flows ? 0 : n->next,
		.flows = flows,
		.services = n->services,
		.target = n->g0,
		.proto = IPPROTO_UDP,
		.checksums = 1,
		.port = BENCH_PORT,
	};
	memcpy(job->dst_mac, n->l0_mac, 6);
	arrived = sink->received;
	translated = sink->translated;
	if (n->is_fairlead)
		bench_fairlead_refresh(&n->fairlead);
	before = bench_thread_ns();
	if (bpf_prog_test_run_opts(bpf_program__fd(n->veth->progs.bench_generate), &opts))
		return fl_err_set(err, -errno, "live frames: %s", strerror(errno));
	ns = bench_thread_ns() - before;
	arrived = sink->received - arrived;
	translated = sink->translated - translated;
	if (!flows)
		n->next = job->next;
	rc = in_lb(n, err);
	if (rc)
		return rc;
	if (n->is_fairlead)
		created = bench_fairlead_counter(&n->fairlead, FL_COUNTER_FLOW_NEW) - created;
	printf("{\"flows\":%llu,\"sent\":%u,\"received\":%llu,\"translated\":%llu,\"created\":%llu,"
	       "\"ns\":%.2f}\n",
	       (unsigned long long)flows, packets, (unsigned long long)arrived,
	       (unsigned long long)translated, (unsigned long long)created,
	       arrived ? (double)ns / arrived : 0.0);
	return 0;
}

static int prepare(struct node *n, uint64_t flows, struct fl_err *err)
{
	struct bench_path path = {.client_device = n->l0, .endpoint_device = n->l1, .skb = n->tc};
	uint64_t refused;
	int rc = 0;

	if (n->is_fairlead) {
		path.ingress_fd = fl_dp_program(n->fairlead.dp, n->tc ? "fl_tc_ingress" : "fl_xdp");
		path.reply_fd = path.ingress_fd;
		rc = bench_prepare(&path, flows, n->services, IPPROTO_UDP, false, &refused, err);
	}
	if (rc)
		return rc;
	return run(n, flows, flows, err); /* conntrack learns each flow by its first packet */
}

static int flush(struct node *n, struct fl_err *err)
{
	int rc = 0;

	if (n->is_fairlead) {
		struct fl_flow_table table = fl_flow_table_of(fl_dp_maps(n->fairlead.dp));

		fl_flow_flush(&table, fl_dp_now(n->fairlead.dp), NULL, NULL);
	} else {
		rc = bench_conntrack_flush(err);
	}
	if (!rc)
		printf("{\"flushed\":true}\n");
	return rc;
}

static int command(struct node *n, const char *line, struct fl_err *err)
{
	unsigned long long a = 0, b = 0;

	if (sscanf(line, "run %llu %llu", &a, &b) == 2)
		return run(n, a, b, err);
	if (sscanf(line, "prepare %llu", &a) == 1)
		return prepare(n, a, err);
	if (!strncmp(line, "flush", 5))
		return flush(n, err);
	if (!strncmp(line, "reasons", 7)) {
		char text[1024] = "";

		if (n->is_fairlead)
			bench_fairlead_reasons(&n->fairlead, text, sizeof(text));
		printf("{\"counters\":{%s}}\n", text);
		return 0;
	}
	return fl_err_set(err, -EINVAL, "unknown command: %s", line);
}

int bench_node(int argc, char **argv, struct fl_err *err)
{
	const char *contender = bench_option_text(argc, argv, "--contender", "fairlead-xdp");
	_cleanup_(node_fini) struct node n = {
		.generator_ns = -1,
		.lb_ns = -1,
		.sink_ns = -1,
		.services = bench_option(argc, argv, "--services", 1),
		.is_fairlead = !strncmp(contender, "fairlead", 8),
		.tc = !strcmp(contender, "fairlead-tc"),
	};
	char line[128];
	int rc = bench_world_enter(err);

	if (!rc)
		rc = bench_pin_to_cpu(bench_option(argc, argv, "--cpu", bench_last_cpu()), err);
	if (rc)
		return rc;
	n.veth = veth__open_and_load();
	if (!n.veth)
		return fl_err_set(err, -errno, "cannot load generator and sink: %s",
				  strerror(errno));
	rc = make_sides(&n, err);
	if (!rc)
		rc = make_middle(&n, err);
	if (!rc)
		rc = open_contender(&n, contender, bench_option(argc, argv, "--endpoints", 6), err);
	if (!rc)
		printf("{\"pid\":%d,\"fd\":%d}\n", getpid(), n.lb_ns);
	while (!rc && fgets(line, sizeof(line), stdin))
		rc = command(&n, line, err);
	return rc;
}
