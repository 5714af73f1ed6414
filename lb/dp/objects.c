// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Opening and loading the BPF objects. libbpf explains failures only by printing; while an object
 * loads, what it prints is caught here, so that the words of the verifier reach the caller's struct
 * fl_err.
 */
#include "bpf/abi/fairlead.h"
#include "lb/dp/objects.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "lb/base/cleanup.h"
#include "lb/base/thread.h"
#include "digest.h"
#include "sock.skel.h"
#include "tables.skel.h"
#include "tc.skel.h"
#include "xdp.skel.h"

/* BPF atomics, and pointers as arguments of global functions */
#define FLOOR_MAJOR 5
#define FLOOR_MINOR 12

#define OBJECT(which)                                                                              \
	static int which##_open(struct fl_bpf_object *o)                                           \
	{                                                                                          \
		struct fl_##which *skeleton = fl_##which##__open();                                \
                                                                                                   \
		if (!skeleton)                                                                     \
			return -errno;                                                             \
		o->skeleton = skeleton;                                                            \
		o->bpf = skeleton->obj;                                                            \
		o->config = (struct fl_config *)&skeleton->rodata->fl_config;                      \
		o->live = &skeleton->data_live->fl_live;                                           \
		return 0;                                                                          \
	}                                                                                          \
	static void which##_destroy(void *skeleton)                                                \
	{                                                                                          \
		fl_##which##__destroy(skeleton);                                                   \
	}

OBJECT(xdp)
OBJECT(tc)
OBJECT(sock)

static int tables_open(struct fl_bpf_object *o)
{
	struct fl_tables *skeleton = fl_tables__open();

	if (!skeleton)
		return -errno;
	o->skeleton = skeleton;
	o->bpf = skeleton->obj;
	return 0;
}

static void tables_destroy(void *skeleton)
{
	fl_tables__destroy(skeleton);
}

struct object_kind {
	const char *name;
	int (*open)(struct fl_bpf_object *object);
	void (*destroy)(void *skeleton);
};

static const struct object_kind objects[FL_OBJECTS] = {
	[FL_OBJECT_XDP] = {"xdp", xdp_open, xdp_destroy},
	[FL_OBJECT_TC] = {"tc", tc_open, tc_destroy},
	[FL_OBJECT_SOCK] = {"sock", sock_open, sock_destroy},
};

const char *fl_bpf_objects_digest(void)
{
	static_assert(sizeof(FL_OBJECTS_DIGEST) <= FL_OBJECTS_DIGEST_LEN, "room for it");
	return FL_OBJECTS_DIGEST;
}

/* libbpf's print function gets no argument of the caller's, hence a variable. */
static _Thread_local char printed[400];

/* Append the last line of `text` that explains something to `printed`. */
static void keep_last_line(const char *text)
{
	const char *best = NULL, *p = text;
	size_t best_len = 0, used = strlen(printed);

	while (*p) {
		size_t len = strcspn(p, "\n");

		/* the verifier's last lines are statistics */
		if (len && strncmp(p, "processed ", 10) && strncmp(p, "verification time", 17) &&
		    strncmp(p, "stack depth", 11) && strncmp(p, "-- END", 6)) {
			best = p;
			best_len = len;
		}
		p += len + (p[len] == '\n');
	}
	if (!best)
		return;
	snprintf(printed + used, sizeof(printed) - used, "%s%.*s", used ? ": " : "", (int)best_len,
		 best);
	for (char *c = printed; *c; c++)
		if ((unsigned char)*c < ' ')
			*c = ' ';
}

static int catch_print(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	_cleanup_free_ char *text = NULL;

	if (level > LIBBPF_WARN || vasprintf(&text, fmt, ap) < 0)
		return 0;
	/* the first message names the program, the log has the reason; the rest repeats that */
	if (strstr(text, "BEGIN PROG LOAD LOG") || !printed[0])
		keep_last_line(text);
	return 0;
}

static int open_object(const struct object_kind *kind, struct fl_bpf_object *ret_object,
		       struct fl_err *err)
{
	struct fl_bpf_object o = {.name = kind->name, .destroy = kind->destroy};
	libbpf_print_fn_t old = libbpf_set_print(catch_print);
	int r;

	printed[0] = '\0';
	r = kind->open(&o);
	libbpf_set_print(old);
	if (r)
		return fl_err_set(err, r, "cannot read the %s programs: %s", o.name,
				  printed[0] ? printed : strerror(-r));
	*ret_object = o;
	return 0;
}

int fl_bpf_object_open(enum fl_bpf_object_id id, struct fl_bpf_object *ret_object,
		       struct fl_err *err)
{
	return open_object(&objects[id], ret_object, err);
}

int fl_bpf_tables_open(struct fl_bpf_object *ret_object, struct fl_err *err)
{
	static const struct object_kind tables = {"tables", tables_open, tables_destroy};

	return open_object(&tables, ret_object, err);
}

void fl_bpf_object_configure(struct fl_bpf_object *object, const struct fl_config *config)
{
	*object->config = *config;
	object->config->live = (struct fl_live){0};
	object->live->of[0] = config->live;
}

int fl_bpf_object_live_fd(const struct fl_bpf_object *object)
{
	return bpf_object__find_map_fd_by_name(object->bpf, ".data.live");
}

/* What the verifier forbids without it reads like a fault of the program. */
static const char *privilege_hint(void)
{
	static const cap_value_t needed[] = {CAP_NET_ADMIN, 38 /* CAP_PERFMON */, 39 /* CAP_BPF */};
	cap_t caps = cap_get_proc();
	bool all = true;

	for (size_t i = 0; caps && i < sizeof(needed) / sizeof(needed[0]); i++) {
		cap_flag_value_t on = CAP_CLEAR;

		cap_get_flag(caps, needed[i], CAP_EFFECTIVE, &on);
		all = all && on == CAP_SET;
	}
	cap_free(caps);
	return all ? "" : " (CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON are needed)";
}

int fl_bpf_object_take_frags(struct fl_bpf_object *object)
{
	struct bpf_program *prog;
	int r = 0;

	bpf_object__for_each_program(prog, object->bpf)
	{
		if (object->config->xdp_frags && !r && bpf_program__type(prog) == BPF_PROG_TYPE_XDP)
			r = bpf_program__set_flags(prog,
						   bpf_program__flags(prog) | BPF_F_XDP_HAS_FRAGS);
	}
	return r;
}

/* What an older kernel forbids reads like a fault of the program too. */
static void kernel_hint(char *buf, size_t len)
{
	struct utsname kernel;
	unsigned int major, minor;

	buf[0] = '\0';
	if (uname(&kernel) || sscanf(kernel.release, "%u.%u", &major, &minor) != 2)
		return;
	if (major < FLOOR_MAJOR || (major == FLOOR_MAJOR && minor < FLOOR_MINOR))
		snprintf(buf, len, " (Linux %d.%d or later is needed; this is %s)", FLOOR_MAJOR,
			 FLOOR_MINOR, kernel.release);
}

static int load(struct fl_bpf_object *object, struct fl_err *err)
{
	char kernel[120];
	int r;

	printed[0] = '\0';
	r = bpf_object__load(object->bpf);
	if (!r)
		return 0;
	kernel_hint(kernel, sizeof(kernel));
	return fl_err_set(err, r, "the kernel refuses the %s programs%s: %s%s%s%s", object->name,
			  kernel, strerror(-r), printed[0] ? ": " : "", printed,
			  r == -EPERM || r == -EACCES ? privilege_hint() : "");
}

/* Objects that wait for a thread to load them. */
struct loading {
	struct fl_bpf_object *list;
	size_t n, next; /* next: atomic */
	int rc[FL_OBJECTS];
	struct fl_err err[FL_OBJECTS];
};

static void *load_some(void *arg)
{
	struct loading *loading = arg;
	size_t i;

	while ((i = __atomic_fetch_add(&loading->next, 1, __ATOMIC_RELAXED)) < loading->n)
		loading->rc[i] = load(&loading->list[i], &loading->err[i]);
	return NULL;
}

int fl_bpf_objects_load(struct fl_bpf_object *list, size_t n, struct fl_err *err)
{
	libbpf_print_fn_t old = libbpf_set_print(catch_print);
	const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct loading loading = {.list = list, .n = n};
	pthread_t threads[FL_OBJECTS];
	size_t n_threads = 0;
	int r = 0;

	assert(n <= FL_OBJECTS);
	while (n_threads + 1 < n && (long)n_threads + 1 < cpus &&
	       fl_thread_start(&threads[n_threads], load_some, &loading))
		n_threads++;
	load_some(&loading);
	while (n_threads)
		pthread_join(threads[--n_threads], NULL);
	libbpf_set_print(old);
	for (size_t i = 0; i < n && !r; i++)
		if (loading.rc[i])
			r = fl_err_set(err, loading.rc[i], "%s", loading.err[i].text);
	return r;
}

void fl_bpf_object_close(struct fl_bpf_object *object)
{
	if (object->skeleton)
		object->destroy(object->skeleton);
	*object = (struct fl_bpf_object){0};
}
