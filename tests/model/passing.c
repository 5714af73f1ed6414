// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Time that passes: what the datapath remembers looks older, in tables that are mapped and in those
 * that are not. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <netinet/in.h>
#include <string.h>

#include "lb/dp/frontend_table.h"
#include "tests/model/run.h"

static struct fl_affinity_key record_key(const struct run *r, const struct model_record *record)
{
	const struct model_port *p = &r->m.port[record->port];
	struct fl_frontend_key key = {.port = htons(p->port), .proto = p->proto};
	const struct fl_frontend_table frontends = fl_frontend_table_of(&r->s->p->maps);
	struct fl_affinity_key affinity = {0};
	struct fl_frontend fe;

	memcpy(&key.addr, p->cluster_ip.b, 16);
	if (fl_frontend_table_get(&frontends, &key, &fe))
		affinity.service_id = fe.service_id;
	memcpy(&affinity.client, record->client.b, 16);
	return affinity;
}

static struct fl_own_key own_key(const struct model_own *own)
{
	const struct model_tuple *t = &own->answer;
	struct fl_own_key key = {.tuple = {.sport = htons(t->sport), .dport = htons(t->dport)}};

	memcpy(&key.tuple.saddr, t->src.b, 16);
	memcpy(&key.tuple.daddr, t->dst.b, 16);
	return key;
}

/* What records say of when they were used, in maps that are not mapped. */
static void age_records(struct run *r, uint32_t jiffies)
{
	const struct plane *p = r->s->p;

	for (int i = 0; i < MODEL_RECORDS; i++) {
		struct fl_affinity_key key;
		struct fl_affinity value;

		if (!r->m.record[i].live)
			continue;
		key = record_key(r, &r->m.record[i]);
		if (bpf_map_lookup_elem(p->maps.affinity_fd, &key, &value))
			continue;
		value.last -= jiffies;
		bpf_map_update_elem(p->maps.affinity_fd, &key, &value, 0);
	}
	for (int i = 0; i < r->m.n_own; i++) {
		const struct fl_own_key key = own_key(&r->m.own[i]);
		uint32_t seen;

		if (bpf_map_lookup_elem(p->maps.own_flows_fd, &key, &seen))
			continue;
		seen -= jiffies;
		bpf_map_update_elem(p->maps.own_flows_fd, &key, &seen, BPF_EXIST);
	}
}

/* Those of the ways, which each object of programs has for itself. Jiffies 0: forgotten. */
static void change_paths(const struct run *r, uint32_t jiffies)
{
	for (int i = 0; i < MODEL_PATHS; i++) {
		const struct model_path *path = &r->m.path[i];
		const struct fl_bpf_object *object =
			&r->s->p->objects[path->xdp ? FL_OBJECT_XDP : FL_OBJECT_TC];
		struct {
			uint32_t mtu, since;
		} value;
		int fd;

		if (!path->live)
			continue;
		fd = bpf_map__fd(bpf_object__find_map_by_name(object->bpf, "fl_paths"));
		if (!jiffies)
			bpf_map_delete_elem(fd, path->to.b);
		if (!jiffies || bpf_map_lookup_elem(fd, path->to.b, &value))
			continue;
		value.since -= jiffies;
		bpf_map_update_elem(fd, path->to.b, &value, BPF_EXIST);
	}
}

void run_wait(struct run *r, struct rng *g)
{
	static const uint32_t seconds[] = {1,  2,  3,	4,   5,	   11,	 20,   33,
					   50, 65, 100, 140, 1000, 4000, 90000};
	int64_t ms = seconds[rng_below(g, sizeof(seconds) / sizeof(seconds[0]))] * 1000LL + 500;
	const struct plane *p = r->s->p;

	for (int tries = 0; !model_may_wait(&r->m, ms); tries++) {
		if (tries > 50)
			return;
		ms += 1700;
	}
	r->totals->waits++;
	r->m.now_ms += ms;
	run_age_table(r, (uint32_t)(ms * p->config.hz / 1000));
	age_records(r, (uint32_t)(ms * p->config.hz / 1000));
	change_paths(r, (uint32_t)(ms * p->config.hz / 1000));
	run_age_fragments(r, (uint32_t)(ms * p->config.hz / 1000));
	if (r->trace)
		fprintf(r->trace, "# %d: %lld ms pass\n", r->step, (long long)ms);
}

void run_forget_maps(struct run *r)
{
	const struct plane *p = r->s->p;

	change_paths(r, 0);
	for (int i = 0; i < MODEL_RECORDS; i++) {
		struct fl_affinity_key key;

		if (!r->m.record[i].live)
			continue;
		key = record_key(r, &r->m.record[i]);
		bpf_map_delete_elem(p->maps.affinity_fd, &key);
	}
	/* some that the model knows nothing of, perhaps */
	if (r->found->differs) {
		struct fl_affinity_key key;

		while (!bpf_map_get_next_key(p->maps.affinity_fd, NULL, &key) &&
		       !bpf_map_delete_elem(p->maps.affinity_fd, &key))
			;
	}
	for (int i = 0; i < r->m.n_own; i++) {
		const struct fl_own_key key = own_key(&r->m.own[i]);

		bpf_map_delete_elem(p->maps.own_flows_fd, &key);
	}
}
