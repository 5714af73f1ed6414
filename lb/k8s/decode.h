/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Kubernetes objects from documents: Service, EndpointSlice, Node and Pod, singly or in lists,
 * become plain data with the API's defaults applied. Faults are reported object by object, so that
 * one bad object never holds up another.
 */
#pragma once

#include "lb/base/doc.h"
#include "lb/model/object.h"

enum fl_problem_level {
	FL_PROBLEM_ERROR,   /* the object, or the whole file, was not applied */
	FL_PROBLEM_WARNING, /* the object was applied without the part named */
	FL_PROBLEM_NOTE,    /* worth knowing, nothing is wrong */
};

/*
 * Everything is borrowed for the call. Text may hold anything a file can: escape it for a terminal.
 */
struct fl_problem {
	enum fl_problem_level level;
	const char *file;   /* "" unknown */
	unsigned int line;  /* 0 unknown */
	const char *object; /* "Service default/web", "" unknown */
	const char *reason;
	/* the object it is about: known when name is not NULL */
	enum fl_kind kind;
	const char *ns, *name;
	/* of a kind that is not ours, with which `object` begins, or no Kubernetes object at all;
	 * never an error, and .kind means nothing */
	bool foreign;
};

/* An object that is at fault. Owned by whom it is given to; the names are never NULL. */
struct fl_unread {
	enum fl_kind kind;
	char *ns, *name;
	/* of a Service: what could be read of it, never to be served. NULL: nothing. */
	struct fl_service *sketch;
	char *service; /* of an EndpointSlice: its Service's name, "" not known; else "" */
};
void fl_unread_fini(struct fl_unread *unread);

struct fl_decode_sink {
	/* Takes the object, in any case. Non-zero stops the decoding and is returned. */
	int (*object)(struct fl_object *object, unsigned int line, void *arg);
	/* Non-zero likewise. */
	int (*problem)(const struct fl_problem *problem, void *arg);
	void *arg;
	/* May be NULL. Takes, in any case, what is known of an object that was reported as an
	 * error: what is served of its Service already can be recognised by that. */
	int (*unread)(struct fl_unread *unread, void *arg);
	bool pods; /* else Pods are of a foreign kind */
	/* May be NULL. Called for each field that is looked at, whether it is there or not, such as
	 * "spec.ports[2].port". */
	void (*field)(const char *kind, const char *path, void *arg);
};

/* "error", "warning", "note" */
const char *fl_problem_level_name(enum fl_problem_level level);
/* "Service", "EndpointSlice", "Node", "Pod" */
const char *fl_kind_name(enum fl_kind kind);

/*
 * Decode one document: an object or a list of objects; an empty document is nothing. `file` is for
 * messages. 0 whatever was wrong with the objects (they were reported to the sink), the sink's
 * non-zero, or -ENOMEM.
 */
int fl_decode(const struct fl_doc *doc, const char *file, const struct fl_decode_sink *sink);
/* The same for one object within a document, such as the object of a watch event, or an item of a
 * list, which need not say its kind. */
int fl_decode_item(const struct fl_value *object, enum fl_kind kind, const char *file,
		   const struct fl_decode_sink *sink);
