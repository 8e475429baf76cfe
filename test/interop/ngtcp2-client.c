/* A QUIC client that shares no code with ours: libngtcp2 and GnuTLS, as Debian packages them. It connects
 * with ALPN ztna-v1, writes the bytes it was given to stream 0 and prints what happens, one word first:
 *
 *   established            the handshake is complete; the server's certificate and name were verified
 *   received HEX           bytes of stream 0
 *   closed KIND CODE TEXT  KIND is transport or application, CODE decimal
 *   failed TEXT            anything else that ended it
 *
 * Usage: ngtcp2-client PORT SERVER-NAME CA.pem CERTIFICATE.pem|- KEY.pem|- HEX-TO-SEND EXPECTED-BYTES
 * It ends once EXPECTED-BYTES have come, or the connection is over. API: ngtcp2 0.12.
 */

#include <arpa/inet.h>
#include <gnutls/gnutls.h>
#include <gnutls/crypto.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ALPN "ztna-v1"
#define MAX_MESSAGE 4096
/* The client's own patience, seconds. */
#define DEADLINE 10

static ngtcp2_conn *conn;
static int fd;
static ngtcp2_path path;
static uint8_t message[MAX_MESSAGE];
static size_t message_length, message_sent, received, expected;

static void fail(const char *text) {
  printf("failed %s\n", text);
  exit(1);
}

static ngtcp2_tstamp now(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return (ngtcp2_tstamp)at.tv_sec * NGTCP2_SECONDS + (ngtcp2_tstamp)at.tv_nsec;
}

static void fill_random(uint8_t *into, size_t length, const ngtcp2_rand_ctx *context) {
  (void)context;
  if (gnutls_rnd(GNUTLS_RND_RANDOM, into, length) != 0) fail("no randomness");
}

static int on_new_connection_id(ngtcp2_conn *c, ngtcp2_cid *cid, uint8_t *token, size_t length, void *user) {
  (void)c, (void)user;
  fill_random(cid->data, length, NULL);
  cid->datalen = length;
  fill_random(token, NGTCP2_STATELESS_RESET_TOKENLEN, NULL);
  return 0;
}

static int on_handshake_completed(ngtcp2_conn *c, void *user) {
  (void)c, (void)user;
  puts("established");
  return 0;
}

static int on_stream_data(ngtcp2_conn *c, uint32_t flags, int64_t stream, uint64_t offset, const uint8_t *data,
                          size_t length, void *user, void *stream_user) {
  (void)flags, (void)offset, (void)user, (void)stream_user;
  printf("received ");
  for (size_t i = 0; i < length; i++) printf("%02x", data[i]);
  putchar('\n');
  received += length;
  ngtcp2_conn_extend_max_stream_offset(c, stream, length);
  ngtcp2_conn_extend_max_offset(c, length);
  return 0;
}

static ngtcp2_conn *conn_of(ngtcp2_crypto_conn_ref *reference) {
  (void)reference;
  return conn;
}

static gnutls_session_t start_tls(const char *name, const char *ca, const char *certificate, const char *key) {
  static ngtcp2_crypto_conn_ref reference = {conn_of, NULL};
  static const gnutls_datum_t alpn = {(unsigned char *)ALPN, sizeof ALPN - 1};
  gnutls_certificate_credentials_t credentials;
  gnutls_session_t session;
  gnutls_certificate_allocate_credentials(&credentials);
  if (gnutls_certificate_set_x509_trust_file(credentials, ca, GNUTLS_X509_FMT_PEM) < 1) fail("the CA does not load");
  if (strcmp(certificate, "-") != 0 &&
      gnutls_certificate_set_x509_key_file(credentials, certificate, key, GNUTLS_X509_FMT_PEM) != 0)
    fail("certificate and key do not load");
  gnutls_init(&session, GNUTLS_CLIENT | GNUTLS_ENABLE_EARLY_DATA | GNUTLS_NO_END_OF_EARLY_DATA);
  if (ngtcp2_crypto_gnutls_configure_client_session(session) != 0) fail("TLS for QUIC");
  /* RFC 9001 §8.4: no middlebox compatibility mode in QUIC. */
  gnutls_priority_set_direct(session, "%DISABLE_TLS13_COMPAT_MODE:NORMAL:-VERS-ALL:+VERS-TLS1.3", NULL);
  gnutls_session_set_ptr(session, &reference);
  gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials);
  gnutls_server_name_set(session, GNUTLS_NAME_DNS, name, strlen(name));
  gnutls_session_set_verify_cert(session, name, 0);
  gnutls_alpn_set_protocols(session, &alpn, 1, GNUTLS_ALPN_MANDATORY);
  return session;
}

static void start_quic(void) {
  ngtcp2_callbacks callbacks = {0};
  ngtcp2_settings settings;
  ngtcp2_transport_params params;
  ngtcp2_cid dcid = {.datalen = NGTCP2_MIN_INITIAL_DCIDLEN}, scid = {.datalen = 16};
  callbacks.client_initial = ngtcp2_crypto_client_initial_cb;
  callbacks.recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb;
  callbacks.encrypt = ngtcp2_crypto_encrypt_cb;
  callbacks.decrypt = ngtcp2_crypto_decrypt_cb;
  callbacks.hp_mask = ngtcp2_crypto_hp_mask_cb;
  callbacks.recv_retry = ngtcp2_crypto_recv_retry_cb;
  callbacks.update_key = ngtcp2_crypto_update_key_cb;
  callbacks.delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb;
  callbacks.delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb;
  callbacks.get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb;
  callbacks.version_negotiation = ngtcp2_crypto_version_negotiation_cb;
  callbacks.rand = fill_random;
  callbacks.get_new_connection_id = on_new_connection_id;
  callbacks.handshake_completed = on_handshake_completed;
  callbacks.recv_stream_data = on_stream_data;
  ngtcp2_settings_default(&settings);
  settings.initial_ts = now();
  ngtcp2_transport_params_default(&params);
  params.initial_max_data = params.initial_max_stream_data_bidi_local = 1 << 20;
  fill_random(dcid.data, dcid.datalen, NULL);
  fill_random(scid.data, scid.datalen, NULL);
  if (ngtcp2_conn_client_new(&conn, &dcid, &scid, &path, NGTCP2_PROTO_VER_V1, &callbacks, &settings, &params, NULL, NULL) != 0)
    fail("ngtcp2_conn_client_new");
}

static void send_packet(const uint8_t *packet, size_t length) {
  if (length > 0 && send(fd, packet, length, 0) < 0) fail("send");
}

/* The server closed the connection: says how. */
static void report_close(void) {
  ngtcp2_connection_close_error error;
  ngtcp2_conn_get_connection_close_error(conn, &error);
  int is_application = error.type == NGTCP2_CONNECTION_CLOSE_ERROR_CODE_TYPE_APPLICATION;
  printf("closed %s %llu %.*s\n", is_application ? "application" : "transport", (unsigned long long)error.error_code,
         (int)error.reasonlen, (const char *)error.reason);
  exit(0);
}

/* The connection is over: by the server's close, or by a fault on this side, such as a certificate refused here. */
static void end_with(int fault) {
  uint8_t packet[1500];
  ngtcp2_path_storage to;
  ngtcp2_pkt_info info;
  ngtcp2_connection_close_error error;
  if (fault == NGTCP2_ERR_DRAINING) report_close();
  ngtcp2_path_storage_zero(&to);
  if (fault == NGTCP2_ERR_CRYPTO)
    ngtcp2_connection_close_error_set_transport_error_tls_alert(&error, ngtcp2_conn_get_tls_alert(conn), NULL, 0);
  else
    ngtcp2_connection_close_error_set_transport_error_liberr(&error, fault, NULL, 0);
  ngtcp2_ssize length = ngtcp2_conn_write_connection_close(conn, &to.path, &info, packet, sizeof packet, &error, now());
  if (length > 0) send_packet(packet, (size_t)length);
  fail(ngtcp2_strerror(fault));
}

static void write_packets(void) {
  int64_t stream = -1;
  if (message_sent < message_length && ngtcp2_conn_get_handshake_completed(conn)) {
    stream = 0;
    if (message_sent == 0 && ngtcp2_conn_open_bidi_stream(conn, &stream, NULL) != 0) stream = -1;
  }
  for (;;) {
    uint8_t packet[1350];
    ngtcp2_path_storage to;
    ngtcp2_pkt_info info;
    ngtcp2_ssize taken = -1;
    ngtcp2_vec data = {message + message_sent, message_length - message_sent};
    ngtcp2_path_storage_zero(&to);
    ngtcp2_ssize length = ngtcp2_conn_writev_stream(conn, &to.path, &info, packet, sizeof packet, &taken,
                                                    NGTCP2_WRITE_STREAM_FLAG_NONE, stream, &data, stream < 0 ? 0 : 1, now());
    if (length < 0) end_with((int)length);
    if (taken > 0) message_sent += (size_t)taken;
    if (message_sent == message_length) stream = -1;
    if (length == 0) return;
    send_packet(packet, (size_t)length);
  }
}

static void read_packets(void) {
  uint8_t packet[2048];
  ngtcp2_pkt_info info = {0};
  for (ssize_t length; (length = recv(fd, packet, sizeof packet, MSG_DONTWAIT)) > 0;) {
    int fault = ngtcp2_conn_read_pkt(conn, &path, &info, packet, (size_t)length, now());
    if (fault != 0) end_with(fault);
  }
}

static void read_hex(const char *hex) {
  message_length = strlen(hex) / 2;
  if (message_length > MAX_MESSAGE) fail("the message is too long");
  for (size_t i = 0; i < message_length; i++) sscanf(hex + 2 * i, "%2hhx", &message[i]);
}

int main(int count, char **arguments) {
  static struct sockaddr_in local, remote;
  socklen_t size = sizeof local;
  if (count != 8) fail("seven arguments are needed");
  setvbuf(stdout, NULL, _IOLBF, 0);
  read_hex(arguments[6]);
  expected = (size_t)atol(arguments[7]);
  remote.sin_family = AF_INET;
  remote.sin_port = htons((uint16_t)atoi(arguments[1]));
  remote.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (connect(fd, (struct sockaddr *)&remote, sizeof remote) != 0) fail("connect");
  getsockname(fd, (struct sockaddr *)&local, &size);
  path.local = (ngtcp2_addr){(struct sockaddr *)&local, sizeof local};
  path.remote = (ngtcp2_addr){(struct sockaddr *)&remote, sizeof remote};
  gnutls_session_t session = start_tls(arguments[2], arguments[3], arguments[4], arguments[5]);
  start_quic();
  ngtcp2_conn_set_tls_native_handle(conn, session);
  ngtcp2_tstamp until = now() + DEADLINE * NGTCP2_SECONDS;
  while (now() < until) {
    write_packets();
    if (expected > 0 && received >= expected) return 0;
    ngtcp2_tstamp expiry = ngtcp2_conn_get_expiry(conn), at = now();
    struct pollfd ready = {fd, POLLIN, 0};
    ngtcp2_tstamp wait = expiry > at ? (expiry - at) / NGTCP2_MILLISECONDS + 1 : 0;
    poll(&ready, 1, wait > 1000 ? 1000 : (int)wait);
    read_packets();
    if (ngtcp2_conn_get_expiry(conn) <= now()) {
      int fault = ngtcp2_conn_handle_expiry(conn, now());
      if (fault != 0) fail(ngtcp2_strerror(fault));
    }
  }
  fail("nothing more came in time");
}
