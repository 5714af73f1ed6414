/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "lb/base/thread.h"

#include <signal.h>

bool fl_thread_start(pthread_t *ret_thread, void *(*run)(void *arg), void *arg)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(ret_thread, NULL, run, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return !rc;
}
