/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Threads that help for a while. */
#pragma once

#include <pthread.h>
#include <stdbool.h>

/* Start one that gets no signals: those are for the thread that runs the agent's loop. False: there
 * is none, and the caller does the work itself. */
bool fl_thread_start(pthread_t *ret_thread, void *(*run)(void *arg), void *arg);
