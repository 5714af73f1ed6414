/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One request. What an administrator or the kubelet may replace is read here anew: the token for
 * each request, certificates by libcurl for each connection, of which none is kept in its caches.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lb/base/cleanup.h"
#include "lb/base/read_file.h"
#include "lb/kube/internal.h"

#define CONNECT_TIMEOUT_MS 10000L
#define KEEPALIVE_S 15L
#define LOST_MS 30000u /* what was sent and is not acknowledged for so long is lost */
#define TOKEN_MAX_BYTES (64u * 1024)
#define RETRY_AFTER_MAX_S 300

static void curlup(CURLU **url)
{
	curl_url_cleanup(*url);
}

static void curl_freep(char **text)
{
	curl_free(*text);
}

/* 11.4: a token file is opened afresh; if it cannot be read the token that was read last stays. */
static int read_token(struct fl_kube_client *client, struct fl_kube_request *request)
{
	const struct fl_kube_access *access = client->access;
	_cleanup_free_ char *text = NULL;
	struct fl_err err = {""};
	size_t len, begin;
	int r;

	if (!access->token_file)
		return 0;
	r = fl_read_file(access->token_file, TOKEN_MAX_BYTES, &text, &len, NULL, &err);
	if (!r) {
		begin = strspn(text, " \t\r\n");
		len = strcspn(text + begin, " \t\r\n");
		text[begin + len] = '\0';
		memmove(text, text + begin, len + 1);
	}
	if (!r && *text) {
		free(client->token);
		client->token = TAKE_PTR(text);
	}
	if (client->token)
		return 0;
	snprintf(request->error, sizeof(request->error), "%.150s: %.80s", access->token_file,
		 r ? err.text : "is empty");
	return -ENOENT;
}

static int add_header(struct fl_kube_request *request, const char *text)
{
	struct curl_slist *list = curl_slist_append(request->headers, text);

	if (!list)
		return -ENOMEM;
	request->headers = list;
	return 0;
}

static int add_headers(struct fl_kube_client *client, struct fl_kube_request *request)
{
	const char *token = client->access->token_file ? client->token : client->access->token;
	_cleanup_free_ char *bearer = NULL;
	char type[80];
	int r = add_header(request, "Accept: application/json");

	if (!r && request->call.send) {
		snprintf(type, sizeof(type), "Content-Type: %s", request->call.type);
		r = add_header(request, type);
	}
	if (r || !token)
		return r;
	if (asprintf(&bearer, "Authorization: Bearer %s", token) < 0) {
		bearer = NULL;
		return -ENOMEM;
	}
	r = add_header(request, bearer);
	explicit_bzero(bearer, strlen(bearer));
	return r;
}

/*
 * The server's certificate is checked against the name in the URL, so that has to be the one that
 * is in the certificate; where the connection goes is said beside it.
 */
static int connect_to(struct fl_kube_request *request, CURLU *url, const char *place,
		      const char *name)
{
	_cleanup_(curl_freep) char *host = NULL;
	_cleanup_(curl_freep) char *port = NULL;
	_cleanup_free_ char *to = NULL;
	int r;

	if (curl_url_get(url, CURLUPART_HOST, &host, 0) ||
	    curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT))
		return -EINVAL;
	if (place)
		r = asprintf(&to, "::%s", place);
	else
		r = asprintf(&to, "::%s:%s", host, port);
	if (r < 0) {
		to = NULL;
		return -ENOMEM;
	}
	request->connect_to = curl_slist_append(NULL, to);
	if (!request->connect_to)
		return -ENOMEM;
	return curl_url_set(url, CURLUPART_HOST, name, 0) ? -EINVAL : 0;
}

/*
 * What was learnt is an endpoint of the Service default/kubernetes. It is checked against that
 * Service's name, which the certificate of every API server has, and no other of the same
 * authority: its own address may also be in a kubelet's, and the configured name be that of one
 * machine. What stands before the configured server, and so its path, is not before this one.
 */
static int aim_at_learnt(struct fl_kube_client *client, struct fl_kube_request *request, CURLU *url,
			 const char *place)
{
	const char *name = client->access->tls_server_name;

	if (curl_url_set(url, CURLUPART_PATH, "/", 0))
		return -EINVAL;
	return connect_to(request, url, place, name ? name : FL_KUBE_OWN_NAME);
}

/* Where the request goes: in `url`, in connect_to, and in `where` for words. */
static int aim(struct fl_kube_client *client, struct fl_kube_request *request, CURLU *url)
{
	const struct fl_kube_access *access = client->access;
	const struct fl_strings *others = &access->other_servers;
	const size_t place = client->place;
	const char *server = access->server, *learnt = NULL;

	if (place > others->n)
		learnt = client->learnt.items[place - others->n - 1];
	else if (place)
		server = others->items[place - 1];
	if (place)
		snprintf(request->where, sizeof(request->where), "%s", learnt ? learnt : server);
	if (curl_url_set(url, CURLUPART_URL, server, 0)) {
		snprintf(request->error, sizeof(request->error), "\"%.200s\" is no URL", server);
		return -EINVAL;
	}
	if (learnt)
		return aim_at_learnt(client, request, url, learnt);
	if (access->tls_server_name)
		return connect_to(request, url, NULL, access->tls_server_name);
	return 0;
}

static int make_url(struct fl_kube_client *client, struct fl_kube_request *request)
{
	_cleanup_(curl_freep) char *base = NULL;
	_cleanup_(curlup) CURLU *url = curl_url();
	int r;

	if (!url)
		return -ENOMEM;
	r = aim(client, request, url);
	if (!r && curl_url_get(url, CURLUPART_URL, &base, 0))
		r = -EINVAL;
	if (r == -EINVAL && !request->error[0])
		snprintf(request->error, sizeof(request->error), "no URL for \"%.200s\"",
			 request->where[0] ? request->where : client->access->server);
	if (r)
		return r;
	while (*base && base[strlen(base) - 1] == '/')
		base[strlen(base) - 1] = '\0';
	if (asprintf(&request->url, "%s%s", base, request->call.path) < 0) {
		request->url = NULL;
		return -ENOMEM;
	}
	return 0;
}

/* libcurl's callbacks */

static size_t on_header(char *data, size_t size, size_t n, void *arg)
{
	struct fl_kube_request *request = arg;
	long status = 0;

	request->heard = fl_mono_now();
	if (size * n > 2)
		return size * n;
	/* the empty line behind the headers */
	curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status == 200 && !request->begun) {
		request->begun = true;
		if (request->call.begun)
			request->call.begun(request->call.arg);
	}
	return size * n;
}

static size_t keep_error_body(struct fl_kube_request *request, const char *data, size_t len)
{
	const size_t room = FL_KUBE_ERROR_BODY_MAX - request->body_len;
	const size_t n = len < room ? len : room;

	if (!request->body)
		request->body = malloc(FL_KUBE_ERROR_BODY_MAX + 1);
	if (!request->body)
		return len; /* its words are lost, its status is not */
	memcpy(request->body + request->body_len, data, n);
	request->body_len += n;
	request->body[request->body_len] = '\0';
	return len;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct fl_kube_request *request = arg;

	request->heard = fl_mono_now();
	if (!request->begun)
		return keep_error_body(request, data, size * n);
	if (!request->call.body || !request->call.body(data, size * n, request->call.arg))
		return size * n;
	request->stopped = true;
	return 0;
}

/* 10.10.3: what is sent to a machine that is gone must not wait for a quarter of an hour. */
static int on_socket(void *arg, curl_socket_t fd, curlsocktype type)
{
	const unsigned int ms = LOST_MS;

	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
	return CURL_SOCKOPT_OK;
}

static CURLcode set_pem(CURL *easy, CURLoption file, CURLoption blob, const struct fl_kube_pem *pem)
{
	struct curl_blob data = {.data = pem->data, .len = pem->len, .flags = CURL_BLOB_NOCOPY};

	if (pem->data)
		return curl_easy_setopt(easy, blob, &data);
	return pem->file ? curl_easy_setopt(easy, file, pem->file) : CURLE_OK;
}

/* With a CA of its own nothing else is trusted, not even what the system trusts. */
static CURLcode set_tls(CURL *easy, const struct fl_kube_access *access)
{
	CURLcode code = set_pem(easy, CURLOPT_SSLCERT, CURLOPT_SSLCERT_BLOB, &access->cert);

	if (!code)
		code = set_pem(easy, CURLOPT_SSLKEY, CURLOPT_SSLKEY_BLOB, &access->key);
	if (!code && (access->ca.data || access->ca.file)) {
		code = curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
		if (!code && access->ca.data)
			code = curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
		if (!code)
			code = set_pem(easy, CURLOPT_CAINFO, CURLOPT_CAINFO_BLOB, &access->ca);
	}
	if (!code && access->insecure) {
		code = curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
		if (!code)
			code = curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	if (!code)
		code = curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	/* a session that is resumed would keep the rights of an old certificate */
	if (!code)
		code = curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
	return code ? code : curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L);
}

static CURLcode set_numbers(CURL *easy)
{
	static const struct {
		CURLoption option;
		long value;
	} options[] = {
		{CURLOPT_NOSIGNAL, 1},
		{CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1},
		{CURLOPT_SUPPRESS_CONNECT_HEADERS, 1},
		{CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS},
		{CURLOPT_TCP_KEEPALIVE, 1},
		{CURLOPT_TCP_KEEPIDLE, KEEPALIVE_S},
		{CURLOPT_TCP_KEEPINTVL, KEEPALIVE_S},
	};
	CURLcode code = CURLE_OK;

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]) && !code; i++)
		code = curl_easy_setopt(easy, options[i].option, options[i].value);
	return code;
}

static CURLcode set_callbacks(struct fl_kube_request *request)
{
	CURL *easy = request->easy;
	CURLcode code = curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);

	if (!code)
		code = curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
	if (!code)
		code = curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	if (!code)
		code = curl_easy_setopt(easy, CURLOPT_HEADERDATA, request);
	if (!code)
		code = curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_socket);
	if (!code)
		code = curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, request->error);
	return code ? code : curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
}

/* The environment's proxy, for whom NO_PROXY does not name. A proxy cannot reach this node's own
 * loopback, where some distributions have a way to the API servers. */
static CURLcode spare_loopback(CURL *easy)
{
	const char *lower = getenv("no_proxy"), *direct = lower ? lower : getenv("NO_PROXY");
	_cleanup_free_ char *all = NULL;

	/* everybody, if it stands alone */
	if (direct && !strcmp(direct, "*"))
		return CURLE_OK;
	if (asprintf(&all, "%s,localhost,127.0.0.0/8,::1", direct ? direct : "") < 0) {
		all = NULL;
		return CURLE_OUT_OF_MEMORY;
	}
	return curl_easy_setopt(easy, CURLOPT_NOPROXY, all);
}

/*
 * As the libraries of Kubernetes use a proxy: one by TLS is checked as the API server is, whose
 * authorities the kubeconfig names; SOCKS is given names, which need not be known here; and HTTP
 * without a port is 80.
 */
static CURLcode set_proxy(CURL *easy, const struct fl_kube_access *access)
{
	static const char socks[] = "socks5://";
	const char *url = access->proxy;
	_cleanup_free_ char *named = NULL;
	CURLcode code = CURLE_OK;

	if (access->ca.data || access->ca.file) {
		code = curl_easy_setopt(easy, CURLOPT_PROXY_CAPATH, NULL);
		if (!code && access->ca.data)
			code = curl_easy_setopt(easy, CURLOPT_PROXY_CAINFO, NULL);
		if (!code)
			code = set_pem(easy, CURLOPT_PROXY_CAINFO, CURLOPT_PROXY_CAINFO_BLOB,
				       &access->ca);
	}
	if (!code && access->insecure) {
		code = curl_easy_setopt(easy, CURLOPT_PROXY_SSL_VERIFYPEER, 0L);
		if (!code)
			code = curl_easy_setopt(easy, CURLOPT_PROXY_SSL_VERIFYHOST, 0L);
	}
	if (code)
		return code;
	if (!url)
		return spare_loopback(easy);
	if (!strncmp(url, socks, strlen(socks))) {
		if (asprintf(&named, "socks5h://%s", url + strlen(socks)) < 0) {
			named = NULL;
			return CURLE_OUT_OF_MEMORY;
		}
		url = named;
	}
	if (!strncmp(url, "http://", 7))
		code = curl_easy_setopt(easy, CURLOPT_PROXYPORT, 80L);
	/* the environment's NO_PROXY goes with the environment's proxy */
	if (!code)
		code = curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
	return code ? code : curl_easy_setopt(easy, CURLOPT_PROXY, url);
}

static CURLcode set_texts(struct fl_kube_request *request, const struct fl_kube_access *access)
{
	CURL *easy = request->easy;
	CURLcode code = curl_easy_setopt(easy, CURLOPT_URL, request->url);

	if (!code)
		code = curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	if (!code)
		code = curl_easy_setopt(easy, CURLOPT_HTTPHEADER, request->headers);
	if (!code)
		code = curl_easy_setopt(easy, CURLOPT_CONNECT_TO, request->connect_to);
	return code ? code : curl_easy_setopt(easy, CURLOPT_USERAGENT, "fairleadd/" FL_VERSION);
}

static CURLcode set_what_is_sent(struct fl_kube_request *request)
{
	const struct fl_kube_call *call = &request->call;
	CURLcode code = CURLE_OK;

	if (call->send)
		code = curl_easy_setopt(request->easy, CURLOPT_COPYPOSTFIELDS, call->send);
	if (!code && call->method)
		code = curl_easy_setopt(request->easy, CURLOPT_CUSTOMREQUEST, call->method);
	return code;
}

static int make_easy(struct fl_kube_client *client, struct fl_kube_request *request)
{
	CURLcode code;

	request->easy = curl_easy_init();
	if (!request->easy)
		return -ENOMEM;
	code = set_numbers(request->easy);
	if (!code)
		code = set_callbacks(request);
	if (!code)
		code = set_texts(request, client->access);
	if (!code)
		code = set_what_is_sent(request);
	if (!code)
		code = set_tls(request->easy, client->access);
	if (!code)
		code = set_proxy(request->easy, client->access);
	/* who was not let in comes back with what the files say now */
	if (!code)
		code = curl_easy_setopt(request->easy, CURLOPT_FRESH_CONNECT, (long)client->fresh);
	if (!code)
		return 0;
	snprintf(request->error, sizeof(request->error), "%s", curl_easy_strerror(code));
	return code == CURLE_OUT_OF_MEMORY ? -ENOMEM : -EINVAL;
}

int fl_kube_request_new(struct fl_kube_client *client, const struct fl_kube_call *call,
			struct fl_kube_request **ret_request)
{
	_cleanup_(fl_kube_request_free) struct fl_kube_request *request =
		calloc(1, sizeof(*request));
	int r;

	if (!request)
		return -ENOMEM;
	request->client = client;
	request->moves = client->moves;
	request->call = *call;
	request->heard = fl_mono_now();
	r = make_url(client, request);
	if (!r)
		r = read_token(client, request);
	if (!r)
		r = add_headers(client, request);
	if (!r)
		r = make_easy(client, request);
	if (r == -ENOMEM)
		return r;
	request->broken = r != 0;
	request->call.path = request->call.method = NULL;
	request->call.send = request->call.type = NULL;
	*ret_request = TAKE_PTR(request);
	return 0;
}

void fl_kube_request_free(struct fl_kube_request **request)
{
	struct fl_kube_request *r = TAKE_PTR(*request);

	if (!r)
		return;
	if (r->easy)
		curl_easy_cleanup(r->easy);
	for (struct curl_slist *header = r->headers; header; header = header->next)
		explicit_bzero(header->data, strlen(header->data));
	curl_slist_free_all(r->headers);
	curl_slist_free_all(r->connect_to);
	free(r->url);
	free(r->body);
	free(r);
}

static enum fl_kube_end end_of(const struct fl_kube_request *request, CURLcode code, long status)
{
	if (request->stopped)
		return FL_KUBE_STOPPED;
	if (request->broken)
		return FL_KUBE_FAILED;
	if (request->stalled || code)
		return status ? FL_KUBE_CUT : FL_KUBE_UNREACHABLE;
	return FL_KUBE_ANSWERED;
}

/* With where it was, if that is not where everybody expects it. */
static const char *words(struct fl_kube_request *request, const char *why)
{
	if (!request->where[0])
		return why;
	snprintf(request->why, sizeof(request->why), "%s: %s", request->where, why);
	return request->why;
}

struct fl_kube_reply fl_kube_request_reply(struct fl_kube_request *request, CURLcode code)
{
	struct fl_kube_reply reply = {.body = request->body ? request->body : "",
				      .body_len = request->body_len,
				      .stalled = request->stalled,
				      .why = ""};
	curl_off_t after_s = 0;

	if (request->easy) {
		curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &reply.status);
		curl_easy_getinfo(request->easy, CURLINFO_RETRY_AFTER, &after_s);
	}
	if (after_s > RETRY_AFTER_MAX_S)
		after_s = RETRY_AFTER_MAX_S;
	reply.retry_after_ms = after_s > 0 ? (uint64_t)after_s * 1000 : 0;
	reply.end = end_of(request, code, reply.status);
	if (reply.end == FL_KUBE_ANSWERED)
		return reply;
	/* libcurl's words for these two have milliseconds in them, and so are others each time */
	if (request->stalled)
		reply.why = words(request, "the connection stands still");
	else if (code == CURLE_COULDNT_CONNECT || code == CURLE_OPERATION_TIMEDOUT ||
		 !request->error[0])
		reply.why = words(request, curl_easy_strerror(code));
	else
		reply.why = words(request, request->error);
	return reply;
}
