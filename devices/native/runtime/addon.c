/*
 * The runtime as a module of Node-API: its functions for JavaScript, compiled as one text with
 * machine.c and runtime.c, which come before it. What is used of Node-API is declared here, because
 * its headers are not on every machine that runs Node; its binary interface never changes
 * (nodejs.org/api/n-api.html).
 */
#include <stdbool.h>

#define EXPORT __attribute__((visibility("default")))

typedef struct napi_env__ *napi_env;
typedef struct napi_value__ *napi_value;
typedef struct napi_ref__ *napi_ref;
typedef struct napi_deferred__ *napi_deferred;
typedef struct napi_callback_info__ *napi_callback_info;
typedef struct napi_async_work__ *napi_async_work;
typedef int napi_status; /* 0: done */
typedef napi_value (*napi_callback)(napi_env, napi_callback_info);

napi_status napi_get_cb_info(napi_env, napi_callback_info, size_t *count, napi_value *values,
                             napi_value *self, void **data);
napi_status napi_create_function(napi_env, const char *name, size_t length, napi_callback,
                                 void *data, napi_value *made);
napi_status napi_set_named_property(napi_env, napi_value object, const char *name, napi_value);
napi_status napi_create_int64(napi_env, int64_t, napi_value *made);
napi_status napi_create_string_utf8(napi_env, const char *, size_t length, napi_value *made);
napi_status napi_get_value_int64(napi_env, napi_value, int64_t *found);
napi_status napi_get_value_string_utf8(napi_env, napi_value, char *into, size_t size,
                                       size_t *length);
napi_status napi_is_typedarray(napi_env, napi_value, bool *is);
napi_status napi_get_typedarray_info(napi_env, napi_value, int *type, size_t *length, void **data,
                                     napi_value *buffer, size_t *offset);
napi_status napi_throw_error(napi_env, const char *code, const char *message);
napi_status napi_create_reference(napi_env, napi_value, uint32_t count, napi_ref *made);
napi_status napi_delete_reference(napi_env, napi_ref);
napi_status napi_create_promise(napi_env, napi_deferred *made, napi_value *promise);
napi_status napi_resolve_deferred(napi_env, napi_deferred, napi_value);
napi_status napi_create_async_work(napi_env, napi_value resource, napi_value name,
                                   void (*execute)(napi_env, void *data),
                                   void (*complete)(napi_env, napi_status, void *data), void *data,
                                   napi_async_work *made);
napi_status napi_queue_async_work(napi_env, napi_async_work);
napi_status napi_delete_async_work(napi_env, napi_async_work);

/* ---- arguments: numbers, strings, and places, which are addresses or typed arrays ---- */

#define MAX_ARGUMENTS 6

static int64_t number_of(napi_env env, napi_value value) {
  int64_t number = 0;
  napi_get_value_int64(env, value, &number);
  return number;
}

static void *place_of(napi_env env, napi_value value) {
  bool is_array = false;
  napi_is_typedarray(env, value, &is_array);
  if (!is_array) return (void *)(uintptr_t)number_of(env, value);
  void *data = NULL;
  napi_get_typedarray_info(env, value, NULL, NULL, &data, NULL, NULL);
  return data;
}

static napi_value made_of(napi_env env, int64_t number) {
  napi_value made = NULL;
  napi_create_int64(env, number, &made);
  return made;
}

/* ---- functions: each takes its arguments apart, then runs, here or on another thread ---- */

struct call {
  void *places[3];
  int64_t numbers[4];
  int64_t result;
  void (*function)(struct call *);
  napi_env env;
  napi_async_work work;
  napi_deferred deferred;
  napi_ref held[MAX_ARGUMENTS]; /* what the other thread works on */
};

static void run_words(struct call *c, int may_wait) {
  c->result = claw_run(c->places[0], c->numbers[0], c->places[1], c->numbers[1], (int)c->numbers[2],
                       c->places[2], may_wait);
}
/* The thread of JavaScript does not wait for the launches of other environments. */
static void run_call(struct call *c) { run_words(c, 0); }
static void run_aside_call(struct call *c) { run_words(c, 1); }
static void copy_call(struct call *c) { claw_copy(c->places[0], c->places[1], c->numbers[0]); }
static void collapse_call(struct call *c) { claw_collapse(c->places[0], c->numbers[0]); }
static void pages_call(struct call *c) { claw_large_pages(c->places[0], c->numbers[0]); }
static void allocate_call(struct call *c) { c->result = (intptr_t)claw_allocate(c->numbers[0]); }
static void free_call(struct call *c) { claw_free(c->places[0], c->numbers[0]); }
static void address_call(struct call *c) { c->result = (intptr_t)c->places[0]; }
static void close_call(struct call *c) { claw_close(c->places[0]); }
static void threads_call(struct call *c) { c->result = claw_threads((int)c->numbers[0]); }
static void features_call(struct call *c) { c->result = claw_features(); }

/* What JavaScript may call: `p` in the arguments is a place, `n` a number. */
static const struct row {
  const char *name;
  const char *arguments;
  void (*function)(struct call *);
  bool aside; /* on another thread, as a promise */
} rows[] = {
    {"run", "pnpnnp", run_call, false},
    {"runAside", "pnpnnp", run_aside_call, true},
    {"copy", "ppn", copy_call, false},
    {"copyAside", "ppn", copy_call, true},
    {"collapseAside", "pn", collapse_call, true},
    {"largePages", "pn", pages_call, false},
    {"allocate", "n", allocate_call, false},
    {"free", "pn", free_call, false},
    {"addressOf", "p", address_call, false},
    {"close", "p", close_call, false},
    {"threads", "n", threads_call, false},
    {"features", "", features_call, false},
};

static void execute(napi_env env, void *data) {
  (void)env;
  struct call *call = data;
  call->function(call);
}

static void release_call(napi_env env, struct call *call) {
  for (int i = 0; i < MAX_ARGUMENTS; i++) {
    if (call->held[i] != NULL) napi_delete_reference(env, call->held[i]);
  }
  if (call->work != NULL) napi_delete_async_work(env, call->work);
  free(call);
}

/* Nothing cancels work but the end of its environment, which waits for no promise. */
static void complete(napi_env env, napi_status status, void *data) {
  (void)status;
  struct call *call = data;
  napi_resolve_deferred(env, call->deferred, made_of(env, call->result));
  release_call(env, call);
}

static napi_value call_aside(napi_env env, const struct call *now, const char *arguments,
                             const napi_value *values) {
  struct call *call = malloc(sizeof *call);
  napi_value promise = NULL, name = NULL;
  if (call == NULL) {
    napi_throw_error(env, NULL, "out of memory");
    return NULL;
  }
  *call = *now;
  for (int i = 0; arguments[i] != 0; i++) {
    bool is_array = false;
    napi_is_typedarray(env, values[i], &is_array);
    if (is_array) napi_create_reference(env, values[i], 1, &call->held[i]);
  }
  napi_create_promise(env, &call->deferred, &promise);
  napi_create_string_utf8(env, "openclaw", 8, &name);
  if (napi_create_async_work(env, NULL, name, execute, complete, call, &call->work) != 0 ||
      napi_queue_async_work(env, call->work) != 0) {
    release_call(env, call);
    napi_throw_error(env, NULL, "the work cannot be given to another thread");
    return NULL;
  }
  return promise;
}

static napi_value call_row(napi_env env, napi_callback_info info) {
  napi_value values[MAX_ARGUMENTS];
  size_t count = MAX_ARGUMENTS;
  void *data = NULL;
  napi_get_cb_info(env, info, &count, values, NULL, &data);
  const struct row *row = data;
  struct call call = {.function = row->function, .env = env};
  void **place = call.places;
  int64_t *number = call.numbers;
  for (int i = 0; row->arguments[i] != 0; i++) {
    if (row->arguments[i] == 'p') *place++ = place_of(env, values[i]);
    else *number++ = number_of(env, values[i]);
  }
  if (row->aside) return call_aside(env, &call, row->arguments, values);
  row->function(&call);
  return made_of(env, call.result);
}

/* ---- modules, by names ---- */

/* Throws what the system's loader says. */
static napi_value open_module(napi_env env, napi_callback_info info) {
  napi_value value;
  size_t count = 1;
  char path[4096] = "";
  napi_get_cb_info(env, info, &count, &value, NULL, NULL);
  napi_get_value_string_utf8(env, value, path, sizeof path, NULL);
  void *module = claw_open(path);
  if (module != NULL) return made_of(env, (intptr_t)module);
  napi_throw_error(env, NULL, claw_open_error());
  return NULL;
}

/* 0 where the module has none of this name. */
static napi_value find_symbol(napi_env env, napi_callback_info info) {
  napi_value values[2];
  size_t count = 2;
  char name[256] = "";
  napi_get_cb_info(env, info, &count, values, NULL, NULL);
  napi_get_value_string_utf8(env, values[1], name, sizeof name, NULL);
  return made_of(env, (intptr_t)claw_symbol(place_of(env, values[0]), name));
}

static void add(napi_env env, napi_value exports, const char *name, napi_callback f,
                const void *data) {
  napi_value made = NULL;
  napi_create_function(env, name, strlen(name), f, (void *)data, &made);
  napi_set_named_property(env, exports, name, made);
}

EXPORT int32_t node_api_module_get_api_version_v1(void) { return 8; }

EXPORT napi_value napi_register_module_v1(napi_env env, napi_value exports) {
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    add(env, exports, rows[i].name, call_row, &rows[i]);
  }
  add(env, exports, "open", open_module, NULL);
  add(env, exports, "symbol", find_symbol, NULL);
  return exports;
}
