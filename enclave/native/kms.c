/*
 * What node does not have: AF_VSOCK streams and the ioctl of /dev/nsm. Calls are thin; policy, buffering and errors are in
 * JavaScript (shared/native/, stream.ts). Results are numbers: a length or descriptor, or minus errno.
 *
 * An address is {cid, port} for AF_VSOCK or a path for AF_UNIX. Both go through the same functions, so that machines
 * without AF_VSOCK exercise them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/vm_sockets.h>
#include <node_api.h>
#include <uv.h>

#define MAX_ARGUMENTS 3

typedef struct {
  size_t count;
  napi_value value[MAX_ARGUMENTS];
} Arguments;

static Arguments arguments_of(napi_env env, napi_callback_info info) {
  Arguments all = {.count = MAX_ARGUMENTS};
  if (napi_get_cb_info(env, info, &all.count, all.value, NULL, NULL) != napi_ok) all.count = 0;
  return all;
}

static napi_value number(napi_env env, int64_t value) {
  napi_value result = NULL;
  napi_create_int64(env, value, &result);
  return result;
}

static napi_value outcome(napi_env env, int64_t value) { return number(env, value < 0 ? -errno : value); }

/* Not a number gives -1: every use below then fails with EBADF or EINVAL. */
static int64_t integer_of(napi_env env, napi_value value) {
  int64_t result = -1;
  if (value == NULL || napi_get_value_int64(env, value, &result) != napi_ok) return -1;
  return result;
}

typedef struct {
  uint8_t *data;
  size_t size;
} Bytes;

/* A view into a Uint8Array, valid during the call. */
static int bytes_of(napi_env env, napi_value value, Bytes *bytes) {
  napi_typedarray_type type;
  void *data = NULL;
  bool is_typed = false;
  if (value == NULL || napi_is_typedarray(env, value, &is_typed) != napi_ok || !is_typed) return -1;
  if (napi_get_typedarray_info(env, value, &type, &bytes->size, &data, NULL, NULL) != napi_ok) return -1;
  if (type != napi_uint8_array) return -1;
  bytes->data = data;
  return 0;
}

typedef union {
  struct sockaddr any;
  struct sockaddr_vm vm;
  struct sockaddr_un un;
} Address;

static uint32_t field_of(napi_env env, napi_value object, const char *name, bool *good) {
  napi_value value = NULL;
  uint32_t result = 0;
  if (napi_get_named_property(env, object, name, &value) != napi_ok) *good = false;
  else if (napi_get_value_uint32(env, value, &result) != napi_ok) *good = false;
  return result;
}

/* The address's size, or 0 for a value that is none. */
static socklen_t address_of(napi_env env, napi_value value, Address *address) {
  napi_valuetype type = napi_undefined;
  memset(address, 0, sizeof *address);
  if (value == NULL || napi_typeof(env, value, &type) != napi_ok) return 0;
  if (type == napi_string) {
    size_t size = 0;
    address->un.sun_family = AF_UNIX;
    if (napi_get_value_string_utf8(env, value, NULL, 0, &size) != napi_ok) return 0;
    if (size == 0 || size >= sizeof address->un.sun_path) return 0;
    napi_get_value_string_utf8(env, value, address->un.sun_path, sizeof address->un.sun_path, NULL);
    return sizeof address->un;
  }
  if (type != napi_object) return 0;
  bool good = true;
  address->vm.svm_family = AF_VSOCK;
  address->vm.svm_cid = field_of(env, value, "cid", &good);
  address->vm.svm_port = field_of(env, value, "port", &good);
  return good ? sizeof address->vm : 0;
}

static int open_socket(const Address *address) {
  return socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

static int64_t closing(int fd) {
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

/* listen(address, backlog): descriptor */
static napi_value kms_listen(napi_env env, napi_callback_info info) {
  Arguments all = arguments_of(env, info);
  Address address;
  socklen_t size = address_of(env, all.value[0], &address);
  if (size == 0) return number(env, -EINVAL);
  int fd = open_socket(&address);
  if (fd < 0) return outcome(env, fd);
  if (bind(fd, &address.any, size) < 0 || listen(fd, (int)integer_of(env, all.value[1])) < 0) {
    return outcome(env, closing(fd));
  }
  return number(env, fd);
}

/* accept(descriptor): descriptor */
static napi_value kms_accept(napi_env env, napi_callback_info info) {
  Arguments all = arguments_of(env, info);
  return outcome(env, accept4((int)integer_of(env, all.value[0]), NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
}

/* peerCid(descriptor): the context id at the other end of AF_VSOCK */
static napi_value kms_peer_cid(napi_env env, napi_callback_info info) {
  Arguments all = arguments_of(env, info);
  Address address;
  socklen_t size = sizeof address;
  memset(&address, 0, sizeof address);
  if (getpeername((int)integer_of(env, all.value[0]), &address.any, &size) < 0) return outcome(env, -1);
  if (address.any.sa_family != AF_VSOCK) return number(env, -EAFNOSUPPORT);
  return number(env, address.vm.svm_cid);
}

/* connect(address): descriptor, connected once it is writable and connectError() gives 0 */
static napi_value kms_connect(napi_env env, napi_callback_info info) {
  Arguments all = arguments_of(env, info);
  Address address;
  socklen_t size = address_of(env, all.value[0], &address);
  if (size == 0) return number(env, -EINVAL);
  int fd = open_socket(&address);
  if (fd < 0) return outcome(env, fd);
  if (connect(fd, &address.any, size) < 0 && errno != EINPROGRESS) return outcome(env, closing(fd));
  return number(env, fd);
}

/* connectError(descriptor): errno of a connect that has ended, 0 if it succeeded */
static napi_value kms_connect_error(napi_env env, napi_callback_info info) {
  Arguments all = arguments_of(env, info);
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt((int)integer_of(env, all.value[0]), SOL_SOCKET, SO_ERROR, &error, &size) < 0) error = errno;
  return number(env, error);
}

/* read(descriptor, Uint8Array): bytes read, 0 at the end */
static napi_value kms_read(napi_env env, napi_callback_info info) {
  Arguments all = arguments_of(env, info);
  Bytes into;
  if (bytes_of(env, all.value[1], &into) < 0) return number(env, -EINVAL);
  ssize_t size;
  do size = read((int)integer_of(env, all.value[0]), into.data, into.size);
  while (size < 0 && errno == EINTR);
  return outcome(env, size);
}

/* write(descriptor, Uint8Array, from): bytes written */
static napi_value kms_write(napi_env env, napi_callback_info info) {
  Arguments all = arguments_of(env, info);
  Bytes bytes;
  int64_t from = integer_of(env, all.value[2]);
  if (bytes_of(env, all.value[1], &bytes) < 0 || from < 0 || (uint64_t)from > bytes.size) {
    return number(env, -EINVAL);
  }
  ssize_t size;
  do size = send((int)integer_of(env, all.value[0]), bytes.data + from, bytes.size - (size_t)from, MSG_NOSIGNAL);
  while (size < 0 && errno == EINTR);
  return outcome(env, size);
}

/* close(descriptor) */
static napi_value kms_close(napi_env env, napi_callback_info info) {
  Arguments all = arguments_of(env, info);
  return outcome(env, close((int)integer_of(env, all.value[0])));
}

/* localCid(): this machine's AF_VSOCK context */
static napi_value kms_local_cid(napi_env env, napi_callback_info info) {
  (void)info;
  unsigned int cid = 0;
  int fd = open("/dev/vsock", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return outcome(env, fd);
  if (ioctl(fd, IOCTL_VM_SOCKETS_GET_LOCAL_CID, &cid) < 0) return outcome(env, closing(fd));
  close(fd);
  return number(env, cid);
}

/* Readiness of a descriptor, on node's own event loop. Freed by the loop after unwatch(). */
typedef struct {
  uv_poll_t poll;
  napi_env env;
  napi_ref callback;
  napi_async_context context;
  bool is_closing;
} Watch;

static void on_ready(uv_poll_t *poll, int status, int events) {
  Watch *watch = (Watch *)poll;
  napi_env env = watch->env;
  napi_handle_scope scope;
  napi_value callback, receiver, arguments[2], error;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  napi_get_reference_value(env, watch->callback, &callback);
  napi_get_global(env, &receiver);
  arguments[0] = number(env, status);
  arguments[1] = number(env, events);
  if (napi_make_callback(env, watch->context, receiver, callback, 2, arguments, NULL) == napi_pending_exception) {
    napi_get_and_clear_last_exception(env, &error);
    napi_fatal_exception(env, error);
  }
  napi_close_handle_scope(env, scope);
}

static void on_unwatched(uv_handle_t *handle) {
  Watch *watch = (Watch *)handle;
  napi_handle_scope scope;
  if (napi_open_handle_scope(watch->env, &scope) == napi_ok) {
    napi_delete_reference(watch->env, watch->callback);
    napi_async_destroy(watch->env, watch->context);
    napi_close_handle_scope(watch->env, scope);
  }
  free(watch);
}

static const napi_type_tag watch_tag = {0x6b6d732d77617463, 0x682d68616e646c65};

static Watch *watch_of(napi_env env, napi_value value) {
  napi_valuetype type = napi_undefined;
  bool is_watch = false;
  void *watch = NULL;
  if (value == NULL || napi_typeof(env, value, &type) != napi_ok || type != napi_external) return NULL;
  if (napi_check_object_type_tag(env, value, &watch_tag, &is_watch) != napi_ok) return NULL;
  if (!is_watch || napi_get_value_external(env, value, &watch) != napi_ok) return NULL;
  return watch;
}

/* watch(descriptor, callback(status, events)): handle, at rest until interest(); or minus errno */
static napi_value kms_watch(napi_env env, napi_callback_info info) {
  Arguments all = arguments_of(env, info);
  uv_loop_t *loop = NULL;
  napi_value name, handle;
  napi_valuetype type = napi_undefined;
  if (all.count < 2 || napi_typeof(env, all.value[1], &type) != napi_ok || type != napi_function) {
    return number(env, -EINVAL);
  }
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) return number(env, -ENOSYS);
  Watch *watch = calloc(1, sizeof *watch);
  if (watch == NULL) return number(env, -ENOMEM);
  watch->env = env;
  int status = uv_poll_init(loop, &watch->poll, (int)integer_of(env, all.value[0]));
  if (status < 0) {
    free(watch);
    return number(env, status);
  }
  napi_create_reference(env, all.value[1], 1, &watch->callback);
  napi_create_string_utf8(env, "KMSSTREAM", NAPI_AUTO_LENGTH, &name);
  napi_async_init(env, NULL, name, &watch->context);
  napi_create_external(env, watch, NULL, NULL, &handle);
  napi_type_tag_object(env, handle, &watch_tag);
  return handle;
}

/* interest(handle, events): 1 to read, 2 to write, 3 both, 0 none */
static napi_value kms_interest(napi_env env, napi_callback_info info) {
  Arguments all = arguments_of(env, info);
  Watch *watch = watch_of(env, all.value[0]);
  int events = (int)integer_of(env, all.value[1]);
  if (watch == NULL || watch->is_closing) return number(env, -EBADF);
  if (events < 0 || events > (UV_READABLE | UV_WRITABLE)) return number(env, -EINVAL);
  return number(env, events == 0 ? uv_poll_stop(&watch->poll) : uv_poll_start(&watch->poll, events, on_ready));
}

/* unwatch(handle): the last use of a handle; call it once, before close() */
static napi_value kms_unwatch(napi_env env, napi_callback_info info) {
  Arguments all = arguments_of(env, info);
  Watch *watch = watch_of(env, all.value[0]);
  if (watch == NULL || watch->is_closing) return number(env, -EBADF);
  watch->is_closing = true;
  uv_close((uv_handle_t *)&watch->poll, on_unwatched);
  return number(env, 0);
}

/* The message of linux/nsm.h: request and response, both CBOR. */
struct nsm_message {
  struct iovec request;
  struct iovec response;
};
#define NSM_IOCTL _IOWR(0x0A, 0, struct nsm_message)
_Static_assert(NSM_IOCTL == 0xC0200A00, "the ioctl of /dev/nsm");

#define NSM_REQUEST_BYTES 0x1000
#define NSM_RESPONSE_BYTES 0x3000

/* One request, on a worker thread: the device takes milliseconds. */
typedef struct {
  napi_async_work work;
  napi_deferred deferred;
  int error;
  size_t request_size;
  size_t response_size;
  uint8_t request[NSM_REQUEST_BYTES];
  uint8_t response[NSM_RESPONSE_BYTES];
} NsmCall;

static void nsm_execute(napi_env env, void *data) {
  (void)env;
  NsmCall *call = data;
  struct nsm_message message = {
      .request = {call->request, call->request_size},
      .response = {call->response, sizeof call->response},
  };
  int fd = open("/dev/nsm", O_RDWR | O_CLOEXEC);
  if (fd < 0 || ioctl(fd, NSM_IOCTL, &message) < 0) call->error = errno;
  else if (message.response.iov_len > sizeof call->response) call->error = EOVERFLOW;
  else call->response_size = message.response.iov_len;
  if (fd >= 0) close(fd);
}

static void nsm_complete(napi_env env, napi_status status, void *data) {
  NsmCall *call = data;
  napi_value buffer, result;
  void *copy = NULL;
  if (status != napi_ok && call->error == 0) call->error = ECANCELED;
  if (call->error == 0 && napi_create_arraybuffer(env, call->response_size, &copy, &buffer) != napi_ok) {
    call->error = ENOMEM;
  }
  if (call->error == 0) {
    memcpy(copy, call->response, call->response_size);
    napi_create_typedarray(env, napi_uint8_array, call->response_size, buffer, 0, &result);
    napi_resolve_deferred(env, call->deferred, result);
  } else {
    napi_resolve_deferred(env, call->deferred, number(env, -call->error));
  }
  napi_delete_async_work(env, call->work);
  explicit_bzero(call, sizeof *call);
  free(call);
}

/* nsm(request): promise of a Uint8Array or minus errno */
static napi_value kms_nsm(napi_env env, napi_callback_info info) {
  Arguments all = arguments_of(env, info);
  Bytes request;
  napi_value name, promise;
  if (bytes_of(env, all.value[0], &request) < 0) return number(env, -EINVAL);
  if (request.size > NSM_REQUEST_BYTES) return number(env, -EMSGSIZE);
  NsmCall *call = calloc(1, sizeof *call);
  if (call == NULL) return number(env, -ENOMEM);
  memcpy(call->request, request.data, request.size);
  call->request_size = request.size;
  napi_create_string_utf8(env, "KMSNSM", NAPI_AUTO_LENGTH, &name);
  if (napi_create_async_work(env, NULL, name, nsm_execute, nsm_complete, call, &call->work) != napi_ok) {
    free(call);
    return number(env, -ENOMEM);
  }
  napi_create_promise(env, &call->deferred, &promise);
  napi_queue_async_work(env, call->work);
  return promise;
}

NAPI_MODULE_INIT() {
  static const struct {
    const char *name;
    napi_callback function;
  } functions[] = {
      {"listen", kms_listen},     {"accept", kms_accept},     {"connect", kms_connect},
      {"read", kms_read},         {"write", kms_write},       {"close", kms_close},
      {"watch", kms_watch},       {"interest", kms_interest}, {"unwatch", kms_unwatch},
      {"localCid", kms_local_cid}, {"nsm", kms_nsm},          {"connectError", kms_connect_error},
      {"peerCid", kms_peer_cid},
  };
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    napi_value function;
    if (napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].function, NULL, &function) !=
            napi_ok ||
        napi_set_named_property(env, exports, functions[i].name, function) != napi_ok) {
      return NULL;
    }
  }
  return exports;
}
