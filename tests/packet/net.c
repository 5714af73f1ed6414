// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Furnishing the namespace: one table of networks says which routes and neighbours there are. */
#include "tests/packet/net.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "lb/base/cleanup.h"

static const char *const dev_names[DEVS] = {"ext0", "ext1", "ext2", "pod0"};

static const struct {
	const char *net[FL_FAMILIES];
	enum dev dev;
	unsigned int
		via; /* host number of the router in the device's own network; 0: on the link */
	const char *route; /* more words for the route; NULL: there is no route of its own */
} networks[NETWORKS] = {
	[AT_EXT0] = {{"10.0.0.0", "fd00::"}, DEV_EXT0},
	[AT_EXT1] = {{"10.0.1.0", "fd00:0:0:1::"}, DEV_EXT1},
	[AT_EXT2] = {{"10.0.2.0", "fd00:0:0:2::"}, DEV_EXT2},
	[AT_OUTSIDE] = {{"192.0.2.0", "2001:db8::"}, DEV_EXT0, 254, ""},
	[AT_POD] = {{"10.1.1.0", "fd01:0:0:1::"}, DEV_POD, 0, ""},
	[AT_TX] = {{"10.1.2.0", "fd01:0:0:2::"}, DEV_EXT0, 2, ""},
	[AT_REDIRECT] = {{"10.1.3.0", "fd01:0:0:3::"}, DEV_EXT1, 3, ""},
	[AT_TC] = {{"10.1.4.0", "fd01:0:0:4::"}, DEV_EXT2, 4, ""},
	[AT_NARROW] = {{"10.1.5.0", "fd01:0:0:5::"}, DEV_EXT1, 3, "mtu lock 1400"},
	[AT_NOWHERE] = {{"10.1.6.0", "fd01:0:0:6::"}, DEV_EXT1, 0, "unreachable"},
	[AT_UNRESOLVED] = {{"10.1.7.0", "fd01:0:0:7::"}, DEV_EXT1, 77, ""},
	[AT_SERVICE] = {{"10.96.0.0", "fd96::"}, DEV_EXT0},
	[AT_VIP] = {{"198.51.100.0", "2001:db8:0:51::"}, DEV_EXT0},
	[AT_FOREIGN] = {{"203.0.113.0", "2001:db8:0:113::"}, DEV_EXT0},
};
_Static_assert(NARROW_MTU == 1400, "as in the table");

struct fl_ip addr(enum fl_family family, enum network network, unsigned int host)
{
	struct fl_ip ip = {0};

	fl_ip_parse(networks[network].net[family], &ip);
	ip.b[15] += host;
	if (family == FL_IPV6)
		ip.b[14] += host >> 8;
	return ip;
}

enum dev net_dev(enum network network)
{
	return networks[network].dev;
}

int net_batch(const char *text, struct fl_err *err)
{
	FILE *f = popen("ip -batch - >&2", "w");
	int status;

	if (!f)
		return fl_err_set(err, -errno, "cannot run ip: %s", strerror(errno));
	fputs(text, f);
	status = pclose(f);
	return status ? fl_err_set(err, -EIO, "ip -batch failed with status %d", status) : 0;
}

int net_rule(enum fl_family family, const char *verb, enum network network, const char *words)
{
	struct fl_ip ip = addr(family, network, 0);
	char buf[FL_IP_STRLEN], command[200];

	snprintf(command, sizeof(command), "ip -%d rule %s to %s/%d %s", family == FL_IPV4 ? 4 : 6,
		 verb, fl_ip_format(&ip, buf), family == FL_IPV4 ? 24 : 64, words);
	return system(command) ? -EIO : 0;
}

static int write_file(const char *path, const char *text, struct fl_err *err)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return fl_err_set(err, -errno, "cannot write %s: %s", path, strerror(errno));
	return 0;
}

static int get_device(const char *name, unsigned int *ret_ifindex, uint8_t *ret_mac,
		      struct fl_err *err)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq req = {0};

	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, SIOCGIFHWADDR, &req))
		return fl_err_set(err, -errno, "cannot look at %s: %s", name, strerror(errno));
	memcpy(ret_mac, req.ifr_hwaddr.sa_data, ETH_ALEN);
	*ret_ifindex = if_nametoindex(name);
	return 0;
}

bool net_wait_running(const char *name)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq req = {0};
	char text[64];

	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", name);
	for (int i = 0; i < 3000; i++) {
		if (!ioctl(fd, SIOCGIFFLAGS, &req) && req.ifr_flags & IFF_RUNNING) {
			/* its queue is there when the lock is ours that it is made under */
			snprintf(text, sizeof(text), "link set %s up\n", name);
			return !net_batch(text, NULL);
		}
		poll(NULL, 0, 1);
	}
	return false;
}

static void print_addr(FILE *f, enum fl_family family, enum network network, unsigned int host)
{
	struct fl_ip ip = addr(family, network, host);
	char buf[FL_IP_STRLEN];

	fputs(fl_ip_format(&ip, buf), f);
}

static void print_route(FILE *f, enum fl_family family, enum network network)
{
	bool unreachable =
		networks[network].route && !strcmp(networks[network].route, "unreachable");

	fprintf(f, "route add %s", unreachable ? "unreachable " : "");
	print_addr(f, family, network, 0);
	fprintf(f, "/%d", family == FL_IPV4 ? 24 : 64);
	if (networks[network].via) {
		fputs(" via ", f);
		print_addr(f, family, (enum network)networks[network].dev, networks[network].via);
	}
	if (!unreachable)
		fprintf(f, " dev %s %s", dev_names[networks[network].dev], networks[network].route);
	fputs("\n", f);
}

/* The first three networks are those of the devices of the same number. */
_Static_assert((int)AT_EXT0 == (int)DEV_EXT0 && (int)AT_EXT2 == (int)DEV_EXT2, "see print_route");

static void print_neighbour(FILE *f, enum fl_family family, enum network at, unsigned int host,
			    const uint8_t *mac)
{
	fputs("neigh replace ", f);
	print_addr(f, family, at, host);
	fprintf(f, " lladdr %02x:%02x:%02x:%02x:%02x:%02x dev %s nud permanent\n", mac[0], mac[1],
		mac[2], mac[3], mac[4], mac[5], dev_names[networks[at].dev]);
}

static int furnish(struct net *net, struct fl_err *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return fl_err_set(err, -ENOMEM, "out of memory");
	fputs("link set lo up\n", f);
	for (int i = 0; i < DEVS; i++)
		fprintf(f, "link add %s type veth peer name %sp\nlink set %s up\nlink set %sp up\n",
			dev_names[i], dev_names[i], dev_names[i], dev_names[i]);
	for (enum fl_family v = FL_IPV4; v < FL_FAMILIES; v++) {
		for (enum network n = AT_EXT0; n <= AT_EXT2; n++) {
			fputs("addr add ", f);
			print_addr(f, v, n, 1);
			fprintf(f, "/%d dev %s%s\n", v == FL_IPV4 ? 24 : 64,
				dev_names[networks[n].dev], v == FL_IPV6 ? " nodad" : "");
		}
		for (enum network n = 0; n < NETWORKS; n++) {
			const uint8_t *mac = net->gateway_mac[n];

			if (networks[n].route)
				print_route(f, v, n);
			if (networks[n].via && n != AT_UNRESOLVED)
				print_neighbour(f, v, (enum network)networks[n].dev,
						networks[n].via, mac);
		}
		fputs("route add default via ", f);
		print_addr(f, v, AT_EXT0, networks[AT_OUTSIDE].via);
		fputs("\n", f);
		for (unsigned int host = 1; host <= 32; host++)
			print_neighbour(f, v, AT_POD, host, net->gateway_mac[AT_POD]);
	}
	if (fclose(f))
		return fl_err_set(err, -ENOMEM, "out of memory");
	return net_batch(text, err);
}

/* A program that lets everything pass. */
static int load_pass(struct fl_err *err)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_XDP);
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "pass", "GPL", insns, 2, &opts);

	return fd < 0 ? fl_err_set(err, -errno, "cannot load a program: %s", strerror(errno)) : fd;
}

int net_init(struct net *net, struct fl_err *err)
{
	int r;

	memset(net, 0, sizeof(*net));
	net->pass_fd = -1;
	for (int i = 0; i < DEVS; i++)
		net->xdp_link_fd[i] = -1;
	for (int i = 0; i < NETWORKS; i++)
		memcpy(net->gateway_mac[i],
		       (uint8_t[]){0x02, 0xf1, 0, 0, networks[i].dev, (uint8_t)networks[i].via},
		       ETH_ALEN);
	if (unshare(CLONE_NEWNET))
		return fl_err_set(err, -errno, "cannot make a network namespace: %s",
				  strerror(errno));
	r = furnish(net, err);
	if (!r)
		r = write_file("/proc/sys/net/ipv4/ip_forward", "1", err);
	if (!r)
		r = write_file("/proc/sys/net/ipv6/conf/all/forwarding", "1", err);
	if (!r)
		r = net->pass_fd = load_pass(err);
	for (int i = 0; i < DEVS && r >= 0; i++) {
		char peer[IF_NAMESIZE];

		snprintf(peer, sizeof(peer), "%.8sp", dev_names[i]);
		r = get_device(dev_names[i], &net->ifindex[i], net->mac[i], err);
		if (!r)
			r = get_device(peer, &net->peer_ifindex[i], net->peer_mac[i], err);
		if (r)
			break;
		net->xdp_link_fd[i] = bpf_link_create(net->pass_fd, net->ifindex[i], BPF_XDP, NULL);
		if (net->xdp_link_fd[i] < 0)
			r = fl_err_set(err, -errno, "cannot attach XDP: %s", strerror(errno));
	}
	return r < 0 ? r : 0;
}

void net_fini(struct net *net)
{
	for (int i = 0; i < DEVS; i++)
		fl_closep(&net->xdp_link_fd[i]);
	fl_closep(&net->pass_fd);
}
