// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* One netlink message: a delete request that names no entry means all of them. */
#include "bench/conntrack.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <string.h>
#include <sys/socket.h>

int bench_conntrack_flush(struct fl_err *err)
{
	struct mnl_socket *nl = mnl_socket_open(NETLINK_NETFILTER);
	char buffer[MNL_NLMSG_HDRLEN + 256];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer);
	struct nfgenmsg *nfg;
	int rc = 0, n;

	if (!nl)
		return fl_err_set(err, -errno, "cannot open netlink: %s", strerror(errno));
	nlh->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	nlh->nlmsg_seq = 1;
	nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	nfg->nfgen_family = AF_INET;
	nfg->version = NFNETLINK_V0;
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) ||
	    mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0 ||
	    (n = mnl_socket_recvfrom(nl, buffer, sizeof(buffer))) < 0 ||
	    mnl_cb_run(buffer, n, 1, mnl_socket_get_portid(nl), NULL, NULL) < 0)
		rc = fl_err_set(err, -errno, "cannot flush conntrack: %s", strerror(errno));
	mnl_socket_close(nl);
	return rc;
}
