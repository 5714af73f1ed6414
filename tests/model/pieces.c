// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What the datapath keeps of fragments, in maps that only its programs have: it is made to look
 * older, and is forgotten behind each episode. And what it sends when the first fragment is here:
 * copies of that, which leave by real devices and are read at their other ends.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "bpf/abi/hash.h"
#include "tests/model/run.h"
#include "tests/model/wire.h"

#define WAYS 4 /* records of a bucket */
#define ARRIVES_MS 2000

/* The maps of a plane, and where in a record its word and time are. */
struct kept {
	const struct plane *plane;
	int frags, held, turn;
	uint32_t n_frags, frag_size, held_size, word_at, since_at;
};

static struct bpf_map *map_of(const struct plane *p, const char *name, struct btf **ret_btf)
{
	for (int i = 0; i < FL_OBJECTS; i++) {
		struct bpf_map *map = bpf_object__find_map_by_name(p->objects[i].bpf, name);

		if (!map)
			continue;
		*ret_btf = bpf_object__btf(p->objects[i].bpf);
		return map;
	}
	fprintf(stderr, "fuzz: there is no map %s\n", name);
	exit(1);
}

static uint32_t member_of(const struct btf *btf, const char *type, const char *name)
{
	const struct btf_type *t =
		btf__type_by_id(btf, (uint32_t)btf__find_by_name_kind(btf, type, BTF_KIND_STRUCT));
	const struct btf_member *member = t ? btf_members(t) : NULL;

	for (uint32_t i = 0; t && i < btf_vlen(t); i++)
		if (!strcmp(btf__name_by_offset(btf, member[i].name_off), name))
			return member[i].offset / 8;
	fprintf(stderr, "fuzz: struct %s has no %s\n", type, name);
	exit(1);
}

static const struct kept *kept_of(const struct plane *p)
{
	static struct kept all[VARIANTS];
	struct kept *k = all;
	struct bpf_map *frags;
	struct btf *btf;

	for (; k->plane; k++)
		if (k->plane == p)
			return k;
	frags = map_of(p, "fl_frags", &btf);
	*k = (struct kept){
		.plane = p,
		.frags = bpf_map__fd(frags),
		.n_frags = bpf_map__max_entries(frags),
		.frag_size = bpf_map__value_size(frags),
		.held = bpf_map__fd(map_of(p, "fl_frag_held", &btf)),
		.held_size = bpf_map__value_size(map_of(p, "fl_frag_held", &btf)),
		.turn = bpf_map__fd(map_of(p, "fl_frag_turn", &btf)),
		.word_at = member_of(btf, "fl_frag", "word"),
		.since_at = member_of(btf, "fl_frag", "since"),
	};
	return k;
}

/* The first record of the bucket that a datagram's is in: fl_frag_bucket(). */
static uint32_t bucket_of(const struct kept *k, const struct model_datagram *d)
{
	const bool v4 = fl_ip_family(&d->src) == FL_IPV4;
	const uint32_t id = v4 ? htons((uint16_t)d->id) : htonl(d->id);
	struct fl_addr src, dst;
	uint64_t h;

	memcpy(&src, d->src.b, sizeof(src));
	memcpy(&dst, d->dst.b, sizeof(dst));
	h = fl_hash_addr(true, k->plane->config.flow_seed[0], &src);
	h = fl_hash_finish(fl_hash_addr(true, h, &dst) ^ fl_pair(id, d->proto));
	return (uint32_t)(h >> 32) & (k->n_frags - WAYS);
}

/* Jiffies 0: they are forgotten. */
static void change_records(struct run *r, uint32_t jiffies)
{
	const struct kept *k = kept_of(r->s->p);
	static uint8_t value[4096];
	bool done[2048 / WAYS] = {false};

	for (int i = 0; i < r->m.fragments->n; i++) {
		const uint32_t first = bucket_of(k, &r->m.fragments->datagram[i]);

		/* once for each bucket */
		if (done[first / WAYS])
			continue;
		done[first / WAYS] = true;
		for (uint32_t at = first; at < first + WAYS; at++) {
			uint64_t word;
			uint32_t since;

			if (bpf_map_lookup_elem(k->frags, &at, value))
				continue;
			memcpy(&word, value + k->word_at, sizeof(word));
			if (!word)
				continue;
			memcpy(&since, value + k->since_at, sizeof(since));
			since -= jiffies;
			memcpy(value + k->since_at, &since, sizeof(since));
			if (!jiffies)
				memset(value, 0, k->frag_size);
			bpf_map_update_elem(k->frags, &at, value, BPF_ANY);
		}
	}
}

void run_age_fragments(struct run *r, uint32_t jiffies)
{
	if (r->m.fragments->n)
		change_records(r, jiffies);
}

/* At the other ends of the devices, where copies leave, and at these, where they arrive. */

static int listen_at(unsigned int ifindex)
{
	const struct sockaddr_ll at = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)ifindex,
	};
	const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const int ignore = 1;

	if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &ignore, sizeof(ignore)) ||
	    bind(fd, (const struct sockaddr *)&at, sizeof(at))) {
		fprintf(stderr, "fuzz: cannot listen to a device: %s\n", strerror(errno));
		exit(1);
	}
	return fd;
}

static int listener(const struct run *r, int device, bool arrives)
{
	static int fds[DEVS][2];
	int *fd = &fds[device][arrives];
	const struct net *net = r->s->p->net;

	if (!*fd)
		*fd = listen_at(arrives ? net->ifindex[device] : net->peer_ifindex[device]);
	return *fd;
}

void run_begin_fragments(const struct run *r)
{
	for (int d = 0; d < DEVS * 2; d++)
		listener(r, d / 2, d % 2);
}

/* What came to the kernel's own ears this way: it may forward that. */
static void hear(struct run_heard *h, const struct model_frame *f)
{
	model_parse(f, &h->packet[h->n++ % RUN_HEARD]);
}

/* The kernel says something of its own now and then, and what the stack was given it forwards,
 * perhaps in smaller pieces. */
static bool is_by_kernel(const struct run_heard *h, const struct model_frame *f)
{
	struct model_packet p;

	if (!model_parse(f, &p) && !p.fragment)
		return true;
	for (int i = 0; i < h->n && i < RUN_HEARD; i++)
		if (h->packet[i].id == p.id && fl_ip_equal(&h->packet[i].t.src, &p.t.src) &&
		    fl_ip_equal(&h->packet[i].t.dst, &p.t.dst))
			return true;
	return false;
}

static bool same_frame(const struct model_frame *a, const struct model_frame *b)
{
	return a->len == b->len && !memcmp(a->b, b->b, a->len);
}

/* False: nothing came within so long. */
static bool receive(const struct run *r, int fd, int ms, const struct model_frame *want,
		    struct model_frame *ret)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};

	for (;;) {
		const ssize_t n = recv(fd, ret->b, sizeof(ret->b), 0);

		if (n < 0 && poll(&pfd, 1, ms) <= 0)
			return false;
		if (n < 0)
			continue;
		ret->len = (uint32_t)n;
		if ((want && same_frame(want, ret)) || !is_by_kernel(&r->heard, ret))
			return true;
	}
}

void run_check_besides(struct run *r, const struct step *step, const struct model_verdicts *v)
{
	struct model_fragments *f = r->m.fragments;
	static struct model_frame got;

	for (int i = 0; i < f->n_besides; i++) {
		const struct model_frame *want = &f->besides[i].frame;
		uint32_t at = 0;

		if (!receive(r, listener(r, f->besides[i].device, f->besides[i].arrives),
			     ARRIVES_MS, want, &got)) {
			run_differs(r, step, v, "fragment %d of %d is not sent besides", i,
				    f->n_besides);
			break;
		}
		if (f->besides[i].arrives)
			hear(&r->heard, want);
		while (at < want->len && at < got.len && want->b[at] == got.b[at])
			at++;
		if (want->len != got.len || at < want->len) {
			r->out = got;
			run_differs(r, step, v,
				    "sent besides: byte %u of %u: %#x in the model, %#x of %u was "
				    "sent",
				    at, want->len, want->b[at], got.b[at], got.len);
			break;
		}
		if (r->trace) {
			fputs("#    and ", r->trace);
			run_say_packet(r->trace, step->hook, f->besides[i].device, &got);
			fputs("\n", r->trace);
		}
	}
	f->n_besides = 0;
}

void run_forget_fragments(struct run *r)
{
	const struct kept *k;
	struct model_fragments *f = r->m.fragments;
	static uint8_t value[16384];
	const uint32_t zero = 0;
	static struct model_frame got;

	for (int d = 0; d < DEVS * 2; d++) {
		while (f->n && receive(r, listener(r, d / 2, d % 2), 0, NULL, &got)) {
			r->out = got;
			run_differs(r, NULL, NULL, "a packet of %u bytes is sent besides", got.len);
		}
	}
	r->heard.n = 0;
	if (!f->n)
		return;
	change_records(r, 0);
	if (!f->turn)
		return;
	k = kept_of(r->s->p);
	memset(value, 0, sizeof(value));
	for (uint32_t i = 0; i < MODEL_PLACES; i++)
		if (f->place[i].live)
			bpf_map_update_elem(k->held, &i, value, BPF_ANY);
	bpf_map_lookup_elem(k->turn, &zero, value);
	memset(value, 0, 8);
	bpf_map_update_elem(k->turn, &zero, value, BPF_ANY);
}
