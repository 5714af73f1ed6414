/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One thread, one reading at a time. The thread blocks every signal: they are the loop's. */
#include "lb/source/worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lb/base/cleanup.h"

struct fl_worker {
	pthread_t thread;
	bool has_thread; /* once there was something to read */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* under the lock */
	struct fl_reading *todo, *done;
	bool stop;
	/* the loop's own */
	struct fl_reading *given;
	int event_fd;
};

static void signal_done(int event_fd)
{
	const uint64_t one = 1;

	/* cannot fail: the counter is never near its limit */
	if (write(event_fd, &one, sizeof(one)) != sizeof(one))
		abort();
}

static void *work(void *arg)
{
	struct fl_worker *worker = arg;

	pthread_mutex_lock(&worker->lock);
	for (;;) {
		struct fl_reading *reading;

		while (!worker->todo && !worker->stop)
			pthread_cond_wait(&worker->changed, &worker->lock);
		if (worker->stop)
			break;
		reading = TAKE_PTR(worker->todo);
		pthread_mutex_unlock(&worker->lock);
		fl_reading_run(reading);
		pthread_mutex_lock(&worker->lock);
		worker->done = reading;
		signal_done(worker->event_fd);
	}
	pthread_mutex_unlock(&worker->lock);
	return NULL;
}

int fl_worker_new(struct fl_worker **ret_worker, struct fl_err *err)
{
	_cleanup_free_ struct fl_worker *worker = calloc(1, sizeof(*worker));

	if (!worker)
		return fl_err_set(err, -ENOMEM, "out of memory");
	worker->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (worker->event_fd < 0)
		return fl_err_set(err, -errno, "eventfd: %s", strerror(errno));
	pthread_mutex_init(&worker->lock, NULL);
	pthread_cond_init(&worker->changed, NULL);
	*ret_worker = TAKE_PTR(worker);
	return 0;
}

static int start_thread(struct fl_worker *worker)
{
	sigset_t all, before;
	int rc;

	if (worker->has_thread)
		return 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&worker->thread, NULL, work, worker);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	worker->has_thread = !rc;
	return -rc;
}

void fl_worker_free(struct fl_worker **ptr)
{
	struct fl_worker *worker = TAKE_PTR(*ptr);

	if (!worker)
		return;
	if (worker->given)
		atomic_store(&worker->given->cancelled, true);
	pthread_mutex_lock(&worker->lock);
	worker->stop = true;
	pthread_cond_broadcast(&worker->changed);
	pthread_mutex_unlock(&worker->lock);
	if (worker->has_thread)
		pthread_join(worker->thread, NULL);
	close(worker->event_fd);
	pthread_cond_destroy(&worker->changed);
	pthread_mutex_destroy(&worker->lock);
	free(worker);
}

int fl_worker_fd(const struct fl_worker *worker)
{
	return worker->event_fd;
}

int fl_worker_start(struct fl_worker *worker, struct fl_reading *reading)
{
	int rc = start_thread(worker);

	if (rc)
		return rc;
	pthread_mutex_lock(&worker->lock);
	worker->given = worker->todo = reading;
	pthread_cond_broadcast(&worker->changed);
	pthread_mutex_unlock(&worker->lock);
	return 0;
}

struct fl_reading *fl_worker_take(struct fl_worker *worker)
{
	struct fl_reading *done;
	uint64_t count;

	/* -EAGAIN: nothing was signalled */
	if (read(worker->event_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		abort();
	pthread_mutex_lock(&worker->lock);
	done = TAKE_PTR(worker->done);
	pthread_mutex_unlock(&worker->lock);
	if (done)
		worker->given = NULL;
	return done;
}
