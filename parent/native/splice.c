/*
 * Carries bytes between two connected sockets without reading them: splice(2) through a pipe moves the kernel's own pages from
 * one to the other, each way at its own speed. Linux; node's event loop; JavaScript hears of the end alone (../kernel-splice.ts).
 *
 * A way holds a pipe only while bytes are in it. What is under way is one filling of it, so a slow reader stops the sender.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <node_api.h>
#include <uv.h>

/* What a way may hold; the kernel's default for a pipe. */
#define SMALL_BYTES (64 << 10)
/* For ways that carry much at the moment: fewer system calls, and ends that do not wait for one another. */
#define LARGE_BYTES (1 << 20)
/* Large ones of all ways together. Who fills one and does not read takes speed from others, never memory. */
#define MAX_LARGE 16
/* Small pipes kept for the next who needs one. */
#define MAX_SPARE 16
/* A way that was filled with so much at once carries much. */
#define MUCH_BYTES (16 << 10)
/* Fillings in a row before others have their turn. */
#define FILLINGS_PER_TURN 8

typedef struct {
  int out;
  int in;
  int size;
} Pipe;

/* Of the one thread that runs the event loop: not for workers. */
static Pipe spare_small[MAX_SPARE], spare_large[MAX_LARGE];
static int small_count = 0, large_count = 0, large_made = 0, large_most = MAX_LARGE;

static bool is_large(const Pipe *pipe) { return pipe->size >= LARGE_BYTES; }

static void close_pipe(Pipe *pipe) {
  close(pipe->out);
  close(pipe->in);
  if (is_large(pipe)) large_made--;
}

/* 0 or minus errno */
static int make_pipe(Pipe *pipe, bool large) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) return -errno;
  /* Who has many pipes already gets none so large, and is not asked again. */
  if (large && fcntl(ends[1], F_SETPIPE_SZ, LARGE_BYTES) < LARGE_BYTES) large_most = large_made;
  *pipe = (Pipe){.out = ends[0], .in = ends[1], .size = fcntl(ends[1], F_GETPIPE_SZ)};
  if (is_large(pipe)) large_made++;
  return 0;
}

static int take_pipe(Pipe *pipe, bool much) {
  if (much && large_count > 0) {
    *pipe = spare_large[--large_count];
    return 0;
  }
  bool large = much && large_made < large_most;
  if (!large && small_count > 0) {
    *pipe = spare_small[--small_count];
    return 0;
  }
  return make_pipe(pipe, large);
}

/* It is empty. */
static void give_pipe(Pipe *pipe) {
  if (is_large(pipe)) spare_large[large_count++] = *pipe;
  else if (pipe->size >= SMALL_BYTES && small_count < MAX_SPARE) spare_small[small_count++] = *pipe;
  else close_pipe(pipe);
}

typedef struct Carriage Carriage;

typedef struct {
  uv_poll_t poll;
  Carriage *carriage;
  int fd;
} Side;

/* One direction. */
typedef struct {
  Side *from;
  Side *to;
  /* Where what it holds lies: in a pipe, or in memory where the kernel does not splice. */
  Pipe pipe;
  uint8_t *memory;
  size_t memory_from;
  size_t held;
  size_t last;
  uint64_t bytes;
  /* The source has ended. */
  bool is_over;
  /* The sink takes nothing any more. */
  bool is_broken;
} Way;

struct Carriage {
  Side side[2];
  Way way[2];
  napi_env env;
  napi_ref callback;
  napi_async_context context;
  uint64_t moved_at;
  /* In this turn. */
  bool has_moved;
  int open_polls;
  bool has_ended;
  bool is_closing;
};

/* Takes what is in the pipe, all of it, into memory: from now on this way reads and writes. */
static int leave_pipe(Way *way) {
  uint8_t *memory = malloc(SMALL_BYTES);
  if (memory == NULL) return -ENOMEM;
  if (way->held > 0) {
    /* A way's first filling is that of a small pipe. */
    ssize_t size = read(way->pipe.out, memory, SMALL_BYTES);
    if (size != (ssize_t)way->held) {
      free(memory);
      return -EIO;
    }
    give_pipe(&way->pipe);
  }
  way->memory = memory;
  way->memory_from = 0;
  return 0;
}

/* What the way holds is lost. */
static void drop_held(Way *way) {
  if (way->memory == NULL && way->held > 0) close_pipe(&way->pipe);
  way->held = 0;
}

/* What splice(2) stops at for ever, and takes the end for one that comes too early: TCP's urgent bytes. */
static bool hides_bytes(int fd) {
  uint8_t byte;
  return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* Into the empty way. Bytes, 0 at the end, or minus errno */
static ssize_t fill(Way *way, bool is_first) {
  if (way->memory == NULL) {
    ssize_t size = take_pipe(&way->pipe, way->last >= MUCH_BYTES);
    bool has_pipe = size == 0;
    if (has_pipe) {
      size = splice(way->from->fd, NULL, way->pipe.in, NULL, (size_t)way->pipe.size, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
      if (size > 0) return size;
      if (size < 0) size = -errno;
      give_pipe(&way->pipe);
      bool may_hide = size == 0 || (size == -EAGAIN && is_first);
      if (size != -EINVAL && !(may_hide && hides_bytes(way->from->fd))) return size;
    }
    /* Neither without a pipe does the connection end. */
    int status = leave_pipe(way);
    if (status < 0) return status;
  }
  ssize_t size = recv(way->from->fd, way->memory, SMALL_BYTES, MSG_DONTWAIT);
  way->memory_from = 0;
  return size < 0 ? -errno : size;
}

/* Out of the way that holds something. Bytes, or minus errno */
static ssize_t drain(Way *way) {
  if (way->memory == NULL) {
    ssize_t size = splice(way->pipe.out, NULL, way->to->fd, NULL, way->held, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (size > 0) return size;
    if (size == 0) return -EPIPE;
    if (errno != EINVAL) return -errno;
    int status = leave_pipe(way);
    if (status < 0) return status;
  }
  ssize_t size = send(way->to->fd, way->memory + way->memory_from, way->held, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (size < 0) return -errno;
  way->memory_from += (size_t)size;
  return size;
}

static bool is_not_now(ssize_t status) { return status == -EAGAIN || status == -EINTR; }

/* Moves what can be moved now. 0, or minus errno if nothing more comes from its source */
static int move(Way *way) {
  Carriage *carriage = way->from->carriage;
  for (int filling = 0; filling < FILLINGS_PER_TURN && !way->is_over && !way->is_broken; filling++) {
    if (way->held == 0) {
      ssize_t size = fill(way, filling == 0);
      if (is_not_now(size)) return 0;
      if (size < 0) return (int)size;
      if (size == 0) {
        way->is_over = true;
        break;
      }
      carriage->has_moved = true;
      carriage->moved_at = uv_hrtime();
      way->held = way->last = (size_t)size;
      way->bytes += (uint64_t)size;
    }
    while (way->held > 0) {
      ssize_t size = drain(way);
      if (is_not_now(size)) return 0;
      if (size < 0) {
        drop_held(way);
        carriage->has_moved = way->is_broken = true;
        return 0;
      }
      carriage->has_moved = true;
      carriage->moved_at = uv_hrtime();
      way->held -= (size_t)size;
    }
    if (way->memory == NULL) give_pipe(&way->pipe);
  }
  return 0;
}

static void on_ready(uv_poll_t *poll, int status, int events);

/* What can happen next is waited for. 0 or minus errno */
static int wait_for_more(Carriage *carriage) {
  for (int i = 0; i < 2; i++) {
    Side *side = &carriage->side[i];
    const Way *from_here = &carriage->way[i], *to_here = &carriage->way[1 - i];
    int events = 0;
    if (!from_here->is_over && !from_here->is_broken && from_here->held == 0) events |= UV_READABLE;
    if (to_here->held > 0) events |= UV_WRITABLE;
    int status = events == 0 ? uv_poll_stop(&side->poll) : uv_poll_start(&side->poll, events, on_ready);
    if (status < 0) return status;
  }
  return 0;
}

/* Tells JavaScript, once; the rest is close()'s. */
static void end(Carriage *carriage, int status) {
  napi_env env = carriage->env;
  napi_handle_scope scope;
  napi_value callback, receiver, argument, error;
  carriage->has_ended = true;
  for (int i = 0; i < 2; i++) uv_poll_stop(&carriage->side[i].poll);
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  napi_get_reference_value(env, carriage->callback, &callback);
  napi_get_global(env, &receiver);
  napi_create_int32(env, status, &argument);
  if (napi_make_callback(env, carriage->context, receiver, callback, 1, &argument, NULL) == napi_pending_exception) {
    napi_get_and_clear_last_exception(env, &error);
    napi_fatal_exception(env, error);
  }
  napi_close_handle_scope(env, scope);
}

static void on_ready(uv_poll_t *poll, int status, int events) {
  Side *side = (Side *)poll;
  Carriage *carriage = side->carriage;
  if (carriage->has_ended) return;
  Way *from_here = &carriage->way[side == &carriage->side[1]], *to_here = &carriage->way[side == &carriage->side[0]];
  /* A side that is broken may have sent something before; the calls themselves tell. */
  bool is_well = status >= 0;
  int failed = 0;
  carriage->has_moved = false;
  if (!is_well || (events & UV_READABLE) != 0) failed = move(from_here);
  if (failed == 0 && (!is_well || (events & UV_WRITABLE) != 0)) failed = move(to_here);
  /* Either side's end is that of both, once what it had sent is with the other; what a side had sent outlives its refusal to read. */
  for (int i = 0; i < 2; i++) {
    if (!carriage->way[i].is_over || carriage->way[i].held > 0) continue;
    end(carriage, 0);
    return;
  }
  if (failed == 0 && from_here->is_broken && to_here->is_broken) failed = -EPIPE;
  if (failed == 0 && !is_well && !carriage->has_moved) failed = status;
  if (failed == 0) failed = wait_for_more(carriage);
  if (failed < 0) end(carriage, failed);
}

static void on_closed(uv_handle_t *handle) {
  Side *side = (Side *)handle;
  Carriage *carriage = side->carriage;
  napi_handle_scope scope;
  close(side->fd);
  if (--carriage->open_polls > 0) return;
  if (napi_open_handle_scope(carriage->env, &scope) == napi_ok) {
    napi_delete_reference(carriage->env, carriage->callback);
    napi_async_destroy(carriage->env, carriage->context);
    napi_close_handle_scope(carriage->env, scope);
  }
  free(carriage);
}

static const napi_type_tag carriage_tag = {0x6b6d732d73706c69, 0x63652d6361727279};

static Carriage *carriage_of(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value value = NULL;
  napi_valuetype type = napi_undefined;
  bool is_carriage = false;
  void *carriage = NULL;
  if (napi_get_cb_info(env, info, &count, &value, NULL, NULL) != napi_ok || value == NULL) return NULL;
  if (napi_typeof(env, value, &type) != napi_ok || type != napi_external) return NULL;
  if (napi_check_object_type_tag(env, value, &carriage_tag, &is_carriage) != napi_ok || !is_carriage) return NULL;
  if (napi_get_value_external(env, value, &carriage) != napi_ok) return NULL;
  return carriage;
}

static napi_value number(napi_env env, double value) {
  napi_value result = NULL;
  napi_create_double(env, value, &result);
  return result;
}

/* A descriptor of the carriage's own for the same connection; or minus errno */
static int own(napi_env env, napi_value value) {
  int32_t descriptor = -1;
  if (value == NULL || napi_get_value_int32(env, value, &descriptor) != napi_ok) return -EINVAL;
  int fd = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
  return fd < 0 ? -errno : fd;
}

/*
 * carry(descriptor, descriptor, callback(status)): handle, or minus errno. The caller's descriptors stay its own and it leaves them
 * alone; the callback comes at most once, with 0 when one side has ended and all is with the other, or minus errno.
 */
static napi_value carry(napi_env env, napi_callback_info info) {
  size_t count = 3;
  napi_value value[3] = {NULL}, name, handle;
  napi_valuetype type = napi_undefined;
  uv_loop_t *loop = NULL;
  napi_get_cb_info(env, info, &count, value, NULL, NULL);
  if (count < 3 || napi_typeof(env, value[2], &type) != napi_ok || type != napi_function) return number(env, -EINVAL);
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) return number(env, -ENOSYS);
  Carriage *carriage = calloc(1, sizeof *carriage);
  if (carriage == NULL) return number(env, -ENOMEM);
  carriage->env = env;
  carriage->moved_at = uv_hrtime();
  int status = 0;
  for (int i = 0; i < 2; i++) {
    Side *side = &carriage->side[i];
    side->carriage = carriage;
    carriage->way[i].from = side;
    carriage->way[i].to = &carriage->side[1 - i];
    if (status < 0) continue;
    side->fd = own(env, value[i]);
    status = side->fd < 0 ? side->fd : uv_poll_init(loop, &side->poll, side->fd);
    if (status == 0) carriage->open_polls++;
    else if (side->fd >= 0) close(side->fd);
  }
  napi_create_reference(env, value[2], 1, &carriage->callback);
  napi_create_string_utf8(env, "KMSSPLICE", NAPI_AUTO_LENGTH, &name);
  napi_async_init(env, NULL, name, &carriage->context);
  if (status == 0) status = wait_for_more(carriage);
  if (status < 0) {
    int polls = carriage->open_polls;
    for (int i = 0; i < polls; i++) uv_close((uv_handle_t *)&carriage->side[i].poll, on_closed);
    if (polls == 0) {
      napi_delete_reference(env, carriage->callback);
      napi_async_destroy(env, carriage->context);
      free(carriage);
    }
    return number(env, status);
  }
  napi_create_external(env, carriage, NULL, NULL, &handle);
  napi_type_tag_object(env, handle, &carriage_tag);
  return handle;
}

/* [bytes from the first, bytes from the second, bytes held, milliseconds since any moved] */
static napi_value state_of(napi_env env, const Carriage *carriage) {
  const Way *there = &carriage->way[0], *back = &carriage->way[1];
  double all[] = {
      (double)there->bytes,
      (double)back->bytes,
      (double)(there->held + back->held),
      (double)(uv_hrtime() - carriage->moved_at) / 1e6,
  };
  napi_value result = NULL;
  napi_create_array_with_length(env, 4, &result);
  for (uint32_t i = 0; i < 4; i++) napi_set_element(env, result, i, number(env, all[i]));
  return result;
}

/* state(handle) */
static napi_value state(napi_env env, napi_callback_info info) {
  Carriage *carriage = carriage_of(env, info);
  if (carriage == NULL || carriage->is_closing) return number(env, -EBADF);
  return state_of(env, carriage);
}

/* close(handle): the last state; the last use of a handle, once. What was held is dropped, the callback comes no more. */
static napi_value close_carriage(napi_env env, napi_callback_info info) {
  Carriage *carriage = carriage_of(env, info);
  if (carriage == NULL || carriage->is_closing) return number(env, -EBADF);
  napi_value result = state_of(env, carriage);
  carriage->is_closing = carriage->has_ended = true;
  for (int i = 0; i < 2; i++) {
    drop_held(&carriage->way[i]);
    free(carriage->way[i].memory);
    carriage->way[i].memory = NULL;
  }
  for (int i = 0; i < 2; i++) uv_close((uv_handle_t *)&carriage->side[i].poll, on_closed);
  return result;
}

/* freeLarge(): how many large pipes can be taken now */
static napi_value free_large(napi_env env, napi_callback_info info) {
  (void)info;
  return number(env, large_count + large_most - large_made);
}

NAPI_MODULE_INIT() {
  static const struct {
    const char *name;
    napi_callback function;
  } functions[] = {
      {"carry", carry}, {"state", state}, {"close", close_carriage}, {"freeLarge", free_large},
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
