/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Authorities, certificates, and servers on loopback that end TLS before a plain one
 * (server_fixture.h), each with a certificate of its own; and one that speaks something else. Each
 * is a thread, since libcurl waits for the other end of a handshake; and waits for nobody itself.
 */
#pragma once

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdatomic.h>

#include "tests/unit/kube/watch_fixture.h"

#define TLS_CONNECTIONS 8
#define TLS_NONSENSE "SSH-2.0-OpenSSH_9.2\r\n"

struct tls_authority {
	EVP_PKEY *key;
	X509 *cert;
	char pem[4096];
};

struct tls_connection {
	int fd, plain; /* 0: none */
	SSL *ssl;
};

struct tls_server {
	SSL_CTX *ctx; /* NULL: it speaks nonsense */
	int fd, stop[2];
	uint16_t port, plain_port;
	pthread_t thread;
	struct tls_connection connections[TLS_CONNECTIONS];
	atomic_uint taken, refused; /* connections; `refused` by the other end */
};

static inline X509 *tls_certificate(EVP_PKEY *key, const char *name, const char *alternative,
				    const struct tls_authority *by)
{
	X509 *cert = X509_new();
	X509_NAME *subject = X509_get_subject_name(cert);
	X509_EXTENSION *extension;
	static long serial = 1;

	X509_set_version(cert, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++);
	X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert), 24L * 3600);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1,
				   0);
	X509_set_issuer_name(cert, by ? X509_get_subject_name(by->cert) : subject);
	X509_set_pubkey(cert, key);
	extension =
		X509V3_EXT_conf_nid(NULL, NULL, by ? NID_subject_alt_name : NID_basic_constraints,
				    by ? alternative : "critical,CA:TRUE");
	assert_non_null(extension);
	assert_int_equal(X509_add_ext(cert, extension, -1), 1);
	X509_EXTENSION_free(extension);
	assert_true(X509_sign(cert, by ? by->key : key, EVP_sha256()) > 0);
	return cert;
}

static inline void tls_authority_init(struct tls_authority *authority, const char *name)
{
	BIO *out = BIO_new(BIO_s_mem());
	int len;

	authority->key = EVP_EC_gen("P-256");
	assert_non_null(authority->key);
	authority->cert = tls_certificate(authority->key, name, NULL, NULL);
	assert_int_equal(PEM_write_bio_X509(out, authority->cert), 1);
	len = BIO_read(out, authority->pem, sizeof(authority->pem) - 1);
	assert_true(len > 0);
	authority->pem[len] = '\0';
	BIO_free(out);
}

static inline void tls_authority_fini(struct tls_authority *authority)
{
	X509_free(authority->cert);
	EVP_PKEY_free(authority->key);
}

static inline void tls_cut(struct tls_connection *c)
{
	SSL_free(c->ssl);
	if (c->fd)
		close(c->fd);
	if (c->plain)
		close(c->plain);
	*c = (struct tls_connection){0};
}

static inline void tls_take(struct tls_server *s)
{
	struct tls_connection *c = s->connections;
	ssize_t n;

	while (c < s->connections + TLS_CONNECTIONS - 1 && c->fd)
		c++;
	tls_cut(c);
	c->fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (s->ctx) {
		c->ssl = SSL_new(s->ctx);
		SSL_set_fd(c->ssl, c->fd);
		return;
	}
	n = write(c->fd, TLS_NONSENSE, sizeof(TLS_NONSENSE) - 1);
	atomic_fetch_add(n > 0 ? &s->taken : &s->refused, 1);
	tls_cut(c);
}

/* A step of the handshake. False: it has failed. */
static inline bool tls_shake(struct tls_server *s, struct tls_connection *c)
{
	const struct sockaddr_in addr = {.sin_family = AF_INET,
					 .sin_port = htons(s->plain_port),
					 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int rc = SSL_accept(c->ssl);

	if (rc != 1 && SSL_get_error(c->ssl, rc) == SSL_ERROR_WANT_READ)
		return true;
	if (rc == 1)
		c->plain = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* with TLS 1.2 the other end has judged the certificate by then */
	if (rc != 1 || connect(c->plain, (const struct sockaddr *)&addr, sizeof(addr))) {
		atomic_fetch_add(&s->refused, 1);
		return false;
	}
	atomic_fetch_add(&s->taken, 1);
	return true;
}

/* False: one of both ends is gone. */
static inline bool tls_pass(struct tls_connection *c, bool from_client)
{
	char data[16384];
	int n;

	do {
		n = from_client ? SSL_read(c->ssl, data, sizeof(data))
				: (int)read(c->plain, data, sizeof(data));
		/* part of a record */
		if (n <= 0)
			return from_client && SSL_get_error(c->ssl, n) == SSL_ERROR_WANT_READ;
		if ((from_client ? (int)write(c->plain, data, (size_t)n)
				 : SSL_write(c->ssl, data, n)) != n)
			return false;
	} while (from_client && SSL_pending(c->ssl));
	return true;
}

static inline void *tls_run(void *arg)
{
	struct tls_server *s = arg;

	while (1) {
		struct pollfd fds[2 + 2 * TLS_CONNECTIONS] = {{.fd = s->stop[0], .events = POLLIN},
							      {.fd = s->fd, .events = POLLIN}};

		for (size_t i = 0; i < TLS_CONNECTIONS; i++) {
			const struct tls_connection *c = &s->connections[i];

			fds[2 + 2 * i] =
				(struct pollfd){.fd = c->fd ? c->fd : -1, .events = POLLIN};
			fds[3 + 2 * i] =
				(struct pollfd){.fd = c->plain ? c->plain : -1, .events = POLLIN};
		}
		poll(fds, 2 + 2 * TLS_CONNECTIONS, -1);
		if (fds[0].revents)
			return NULL;
		for (size_t i = 0; i < TLS_CONNECTIONS; i++) {
			struct tls_connection *c = &s->connections[i];

			if (fds[2 + 2 * i].revents &&
			    !(c->plain ? tls_pass(c, true) : tls_shake(s, c)))
				tls_cut(c);
			else if (fds[3 + 2 * i].revents && !tls_pass(c, false))
				tls_cut(c);
		}
		if (fds[1].revents)
			tls_take(s);
	}
}

/* At the port that it had before, if it had one. */
static inline void tls_start(struct tls_server *s)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_port = htons(s->port),
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(addr);

	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(s->fd >= 0);
	fake_reuse(s->fd);
	assert_int_equal(bind(s->fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(s->fd, 16), 0);
	assert_int_equal(getsockname(s->fd, (struct sockaddr *)&addr, &len), 0);
	s->port = ntohs(addr.sin_port);
	assert_int_equal(pipe2(s->stop, O_CLOEXEC), 0);
	assert_int_equal(pthread_create(&s->thread, NULL, tls_run, s), 0);
}

/* Connections are cut, and none is taken any more. */
static inline void tls_stop(struct tls_server *s)
{
	if (s->fd < 0)
		return;
	close(s->stop[1]);
	pthread_join(s->thread, NULL);
	close(s->stop[0]);
	for (size_t i = 0; i < TLS_CONNECTIONS; i++)
		tls_cut(&s->connections[i]);
	close(s->fd);
	s->fd = -1;
}

/* `names`: as of subjectAltName, "DNS:a,IP:127.0.0.1"; NULL: no TLS at all. */
static inline void tls_open(struct tls_server *s, const struct tls_authority *by, const char *names,
			    const struct fake_server *plain)
{
	*s = (struct tls_server){.fd = -1, .plain_port = plain->port};
	if (names) {
		EVP_PKEY *key = EVP_EC_gen("P-256");
		X509 *cert = tls_certificate(key, "server", names, by);

		s->ctx = SSL_CTX_new(TLS_server_method());
		assert_non_null(s->ctx);
		SSL_CTX_set_max_proto_version(s->ctx, TLS1_2_VERSION);
		assert_int_equal(SSL_CTX_use_certificate(s->ctx, cert), 1);
		assert_int_equal(SSL_CTX_use_PrivateKey(s->ctx, key), 1);
		X509_free(cert);
		EVP_PKEY_free(key);
	}
	tls_start(s);
}

static inline void tls_close(struct tls_server *s)
{
	tls_stop(s);
	SSL_CTX_free(s->ctx);
	s->ctx = NULL;
}
