/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Walking over the sockets' table, which is an LRU map: an element that is gone when it is to be
 * deleted is as good as deleted. */
#include "conntrack/sockets.h"

#include <bpf/bpf.h>
#include <netinet/in.h>

#include "lb/dp/map_each.h"

bool fl_socket_wants(const struct fl_socket_key *key, const struct fl_socket_peer *peer,
		     const struct fl_lost *lost)
{
	return key->proto == IPPROTO_UDP && key->direction == FL_SOCKET_FORWARD &&
	       fl_lost_has(lost, peer->backend, peer->generation, &key->addr, key->port);
}

struct pass {
	int fd;
	const struct fl_lost *lost;
	size_t n;
};

static int look_at(const void *key, const void *value, void *arg)
{
	struct pass *pass = arg;

	if (fl_socket_wants(key, value, pass->lost))
		pass->n += !bpf_map_delete_elem(pass->fd, key);
	return 0;
}

int fl_sockets_resteer(int sockets_fd, const struct fl_lost *lost, size_t *ret_n)
{
	struct pass pass = {.fd = sockets_fd, .lost = lost};
	int r = fl_map_each(sockets_fd, look_at, &pass);

	*ret_n = pass.n;
	return r;
}
