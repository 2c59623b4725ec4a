/*
 * The stub's driver: memory is the host's with its bounds watched, a stream is a thread that works
 * off a queue, kernels are shared libraries made by the stub's compiler. One launch runs at a time.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <sys/mman.h>
#include <time.h>

#ifndef __x86_64__
#include <ucontext.h>
#endif

#define ZONE 2048
#define RED 0xa5
#define FRESH 0xcd
#define FIBER_BYTES (64 * 1024)
#define MOST_DEVICES 8

enum {
  OK = 0,
  INVALID = STUB_CODES + 1,
  NO_MEMORY = STUB_CODES + 2,
  NO_DEVICE = STUB_CODES + 100,
  NO_SUCH_DEVICE = STUB_CODES + 101,
  BAD_IMAGE = STUB_CODES + 200,
  BAD_CONTEXT = STUB_CODES + 201,
  LOST = STUB_CODES + 46,
  NOT_FOUND = STUB_CODES + 500,
  NOT_READY = STUB_CODES + 600,
  BAD_ADDRESS = STUB_CODES + 700,
  NO_RESOURCES = STUB_CODES + 701,
  LAUNCH_FAILED = STUB_CODES + 719,
};

typedef struct block {
  struct block *next;
  char *start;
  size_t bytes;
} block;

typedef struct {
  int lost, sticky, references;
  size_t used;
  block *blocks;
} device;

typedef struct {
  void *library;
  const claw_kernel *kernels;
  claw_three *thread, *at, *threads, *count;
  void (**wait_group)(void);
  void (**wait_warp)(void);
  char *shared;
  unsigned long shared_bytes;
} module;

typedef struct {
  module *module;
  const claw_kernel *kernel;
} function;

typedef struct event {
  struct timespec time;
  int done;
} event;

typedef struct command {
  struct command *next;
  enum { COPY, FILL, LAUNCH, EVENT } kind;
  char *to;
  const char *from;
  size_t bytes;
  int value, fault;
  function *function;
  claw_three blocks, threads;
  uint64_t values[256];
  event *event;
} command;

typedef struct {
  device *device;
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  command *first, *last;
  int working, ended;
  struct graph *capture;
} stream;

typedef struct graph {
  command *first, *last;
} graph;

static device devices[MOST_DEVICES];
static int ready;
static __thread int current = -1;
static pthread_mutex_t memory_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t launch_lock = PTHREAD_MUTEX_INITIALIZER;

static int number_from(const char *name, int otherwise) {
  const char *text = getenv(name);
  return text == NULL || *text == 0 ? otherwise : atoi(text);
}

/* As many devices as the variable that hides devices leaves. */
static int device_count(void) {
  int all = number_from("CLAW_STUB_DEVICES", 2);
  const char *visible = getenv(STUB_VISIBLE);
  if (visible == NULL) return all < MOST_DEVICES ? all : MOST_DEVICES;
  int count = 0;
  for (const char *p = visible; *p != 0;) {
    if (*p < '0' || *p > '9' || atoi(p) >= all) break;
    count++;
    while (*p >= '0' && *p <= '9') p++;
    if (*p == ',') p++;
  }
  return count;
}

static int state_of(const device *d) { return d->lost ? LOST : d->sticky; }
static int here(void) {
  if (!ready) return STUB_CODES + 3;
  if (current < 0) return BAD_CONTEXT;
  return state_of(&devices[current]);
}
#define CHECK                  \
  int checked = here();        \
  if (checked != 0) return checked

static int claw_initialize(unsigned flags) {
  (void)flags;
  ready = 1;
  return device_count() == 0 ? NO_DEVICE : OK;
}
static int claw_version(int *version) {
  *version = 1000;
  return OK;
}
static int claw_deviceCount(int *count) {
  ready = 1;
  *count = device_count();
  return OK;
}
static int claw_deviceOf(int *made, int ordinal) {
  if (ordinal < 0 || ordinal >= device_count()) return NO_SUCH_DEVICE;
  *made = ordinal;
  return OK;
}
static int claw_deviceName(char *into, int length, int ordinal) {
  snprintf(into, (size_t)length, "%s", STUB_MODEL);
  return ordinal < device_count() ? OK : NO_SUCH_DEVICE;
}
static size_t memory_bytes(void) {
  return (size_t)number_from("CLAW_STUB_MEBIBYTES", 1024) << 20;
}
static int claw_deviceMemory(size_t *bytes, int ordinal) {
  *bytes = memory_bytes();
  return ordinal < device_count() ? OK : NO_SUCH_DEVICE;
}
static int claw_deviceAttribute(int *value, int attribute, int ordinal) {
  static const struct {
    int number, value;
  } attributes[] = {STUB_ATTRIBUTES{-1, 0}};
  if (ordinal < 0 || ordinal >= device_count()) return NO_SUCH_DEVICE;
  for (int i = 0; attributes[i].number >= 0; i++)
    if (attributes[i].number == attribute) {
      *value = attributes[i].value;
      return OK;
    }
  return INVALID;
}

/* Ends what lives on a device, as the end of a context does. */
static void wipe(device *d) {
  pthread_mutex_lock(&memory_lock);
  for (block *b = d->blocks; b != NULL;) {
    block *next = b->next;
    free(b->start - ZONE);
    free(b);
    b = next;
  }
  d->blocks = NULL;
  d->used = 0;
  d->sticky = 0;
  pthread_mutex_unlock(&memory_lock);
}
static int claw_contextRetain(void **made, int ordinal) {
  if (ordinal < 0 || ordinal >= device_count()) return NO_SUCH_DEVICE;
  if (devices[ordinal].lost) return LOST;
  devices[ordinal].references++;
  *made = &devices[ordinal];
  return OK;
}
static int claw_contextRelease(int ordinal) {
  if (ordinal < 0 || ordinal >= MOST_DEVICES || devices[ordinal].references == 0)
    return NO_SUCH_DEVICE;
  if (--devices[ordinal].references == 0) wipe(&devices[ordinal]);
  return OK;
}
static int claw_contextCreate(void **made, unsigned flags, int ordinal) {
  (void)flags;
  int code = claw_contextRetain(made, ordinal);
  if (code == OK) current = ordinal;
  return code;
}
static int claw_contextDestroy(void *context) {
  return claw_contextRelease((int)((device *)context - devices));
}
static int claw_contextSet(void *context) {
  current = context == NULL ? -1 : (int)((device *)context - devices);
  return context == NULL ? OK : state_of(context);
}
static int claw_deviceSet(int ordinal) {
  if (ordinal < 0 || ordinal >= device_count()) return NO_SUCH_DEVICE;
  ready = 1;
  current = ordinal;
  return devices[ordinal].lost ? LOST : OK;
}
static int claw_deviceReset(void) {
  if (current < 0) return BAD_CONTEXT;
  wipe(&devices[current]);
  return OK;
}

static int claw_memoryInfo(size_t *unused, size_t *total) {
  CHECK;
  *total = memory_bytes();
  *unused = *total > devices[current].used ? *total - devices[current].used : 0;
  return OK;
}
static int claw_allocate(void **made, size_t bytes) {
  CHECK;
  device *d = &devices[current];
  if (bytes == 0) return INVALID;
  if (claw_fault("memory") || d->used + bytes > memory_bytes()) return NO_MEMORY;
  char *whole = aligned_alloc(ZONE, (bytes + 2 * ZONE + ZONE - 1) / ZONE * ZONE);
  if (whole == NULL) return NO_MEMORY;
  memset(whole, RED, ZONE);
  memset(whole + ZONE, FRESH, bytes);
  memset(whole + ZONE + bytes, RED, ZONE);
  block *b = malloc(sizeof *b);
  pthread_mutex_lock(&memory_lock);
  *b = (block){d->blocks, whole + ZONE, bytes};
  d->blocks = b;
  d->used += bytes;
  pthread_mutex_unlock(&memory_lock);
  *made = b->start;
  return OK;
}
static int is_whole(const block *b) {
  for (int i = 0; i < ZONE; i++)
    if ((unsigned char)b->start[-1 - i] != RED || (unsigned char)b->start[b->bytes + (size_t)i] != RED)
      return 0;
  return 1;
}
static block *block_at(device *d, const void *address, size_t bytes) {
  block *b = d->blocks;
  const char *p = address;
  while (b != NULL && !(p >= b->start && p + bytes <= b->start + b->bytes)) b = b->next;
  return b;
}
static int claw_release(void *address) {
  CHECK;
  device *d = &devices[current];
  int code = INVALID;
  pthread_mutex_lock(&memory_lock);
  for (block **at = &d->blocks; *at != NULL; at = &(*at)->next) {
    block *b = *at;
    if (b->start != address) continue;
    code = is_whole(b) ? OK : BAD_ADDRESS;
    *at = b->next;
    d->used -= b->bytes;
    memset(b->start, FRESH, b->bytes);
    free(b->start - ZONE);
    free(b);
    break;
  }
  pthread_mutex_unlock(&memory_lock);
  return code;
}

/* Threads of a group as fibers: those that wait are resumed when all that must have come are there. */
enum { READY, AT_GROUP, AT_WARP, DONE };
static struct {
#ifdef __x86_64__
  void *fibers[STUB_GROUP], *scheduler;
#else
  ucontext_t fibers[STUB_GROUP], scheduler;
#endif
  char *stacks[STUB_GROUP];
  unsigned char states[STUB_GROUP];
  int made, running;
  const claw_kernel *kernel;
  void **parameters;
} group;

#ifdef __x86_64__
__attribute__((naked, noinline)) static void change(void **save, void *load) {
  __asm__ volatile(
      "pushq %rbp\n pushq %rbx\n pushq %r12\n pushq %r13\n pushq %r14\n pushq %r15\n"
      "movq %rsp, (%rdi)\n movq %rsi, %rsp\n"
      "popq %r15\n popq %r14\n popq %r13\n popq %r12\n popq %rbx\n popq %rbp\n ret\n");
}
#define LEAVE() change(&group.fibers[group.running], group.scheduler)
#define ENTER(t) change(&group.scheduler, group.fibers[t])
#else
#define LEAVE() swapcontext(&group.fibers[group.running], &group.scheduler)
#define ENTER(t) swapcontext(&group.scheduler, &group.fibers[t])
#endif

static void wait_group(void) {
  group.states[group.running] = AT_GROUP;
  LEAVE();
}
static void wait_warp(void) {
  group.states[group.running] = AT_WARP;
  LEAVE();
}
static void fiber_main(void) {
  for (;;) {
    group.kernel->call(group.parameters);
    group.states[group.running] = DONE;
    LEAVE();
  }
}
static void make_fiber(int t) {
  group.stacks[t] = mmap(NULL, FIBER_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
#ifdef __x86_64__
  void **top = (void **)(group.stacks[t] + FIBER_BYTES - 16);
  *--top = NULL;
  *--top = (void *)fiber_main;
  group.fibers[t] = top - 6;
#else
  getcontext(&group.fibers[t]);
  group.fibers[t].uc_stack.ss_sp = group.stacks[t];
  group.fibers[t].uc_stack.ss_size = FIBER_BYTES;
  makecontext(&group.fibers[t], fiber_main, 0);
#endif
}

static void run_thread(const module *m, int t, const claw_three *n, int fibers) {
  unsigned x = (unsigned)t % n->x, y = (unsigned)t / n->x % n->y;
  *m->thread = (claw_three){x, y, (unsigned)t / n->x / n->y};
  if (!fibers) {
    group.kernel->call(group.parameters);
    return;
  }
  group.running = t;
  group.states[t] = READY;
  ENTER(t);
}

/* Lets go the threads of [from, to) that wait for each other; whether any were. */
static int let_go(int from, int to, int state) {
  int waiting = 0;
  for (int t = from; t < to; t++) {
    if (group.states[t] == state) waiting++;
    else if (state == AT_GROUP || group.states[t] != DONE) return 0;
  }
  for (int t = from; t < to; t++)
    if (group.states[t] == state) group.states[t] = READY;
  return waiting > 0;
}

/* One group; the order of its threads turns around so that a missing barrier shows. */
static int run_group(const module *m, const claw_three *n, int backwards) {
  int threads = (int)(n->x * n->y * n->z), waits = group.kernel->waits;
  if (m->shared_bytes > 0) memset(m->shared, RED, m->shared_bytes);
  while (waits && group.made < threads) make_fiber(group.made++);
  memset(group.states, READY, (size_t)threads);
  for (;;) {
    int done = 0;
    for (int i = 0; i < threads; i++) {
      int t = backwards ? threads - 1 - i : i;
      if (group.states[t] == READY) run_thread(m, t, n, waits);
      if (!waits || group.states[t] == DONE) done++;
    }
    if (done == threads) return OK;
    backwards = !backwards;
    int moved = let_go(0, threads, AT_GROUP);
    for (int w = 0; !moved && w < threads; w += STUB_WARP) {
      int end = w + STUB_WARP < threads ? w + STUB_WARP : threads;
      moved |= let_go(w, end, AT_WARP);
    }
    /* Some threads left while others wait for them. */
    if (moved) continue;
    for (int t = 0; t < threads; t++) munmap(group.stacks[t], FIBER_BYTES);
    for (int t = 0; t < threads; t++) make_fiber(t);
    return LAUNCH_FAILED;
  }
}

static int run_launch(device *d, command *c) {
  const module *m = c->function->module;
  void *parameters[256];
  int count = (int)strlen(c->function->kernel->parameters);
  for (int i = 0; i < count; i++) parameters[i] = &c->values[i];
  if (c->fault == 'l') return LAUNCH_FAILED;
  if (c->fault == 'x') return d->lost = 1, LOST;
  for (int i = 0; c->fault == 'h' && i < 50; i++) usleep(100000);
  pthread_mutex_lock(&launch_lock);
  group.kernel = c->function->kernel;
  group.parameters = parameters;
  *m->threads = c->threads;
  *m->count = c->blocks;
  *m->wait_group = wait_group;
  *m->wait_warp = wait_warp;
  int code = OK, turn = 0;
  for (unsigned z = 0; z < c->blocks.z && code == OK; z++)
    for (unsigned y = 0; y < c->blocks.y && code == OK; y++)
      for (unsigned x = 0; x < c->blocks.x && code == OK; x++) {
        *m->at = (claw_three){x, y, z};
        code = run_group(m, &c->threads, turn++ & 1);
      }
  pthread_mutex_unlock(&launch_lock);
  pthread_mutex_lock(&memory_lock);
  for (block *b = d->blocks; b != NULL && code == OK; b = b->next)
    if (!is_whole(b)) code = BAD_ADDRESS;
  pthread_mutex_unlock(&memory_lock);
  const char *written = strchr(c->function->kernel->parameters, 'w');
  if (c->fault == 'w' && written != NULL) {
    unsigned char *wrong = (unsigned char *)(uintptr_t)c->values[written - c->function->kernel->parameters];
    for (int i = 0; i < 4; i++) wrong[i] ^= 0x35;
  }
  return code;
}

static void run_command(device *d, command *c) {
  int code = state_of(d);
  if (c->kind == EVENT) {
    clock_gettime(CLOCK_MONOTONIC, &c->event->time);
    c->event->done = 1;
    return;
  }
  if (code != OK) return;
  if (c->kind == COPY) memmove(c->to, c->from, c->bytes);
  else if (c->kind == FILL) memset(c->to, c->value, c->bytes);
  else code = run_launch(d, c);
  if (code != OK && d->sticky == 0) d->sticky = code;
}

static void *stream_main(void *handle) {
  stream *s = handle;
  pthread_mutex_lock(&s->lock);
  for (;;) {
    while (s->first == NULL && !s->ended) pthread_cond_wait(&s->changed, &s->lock);
    command *c = s->first;
    if (c == NULL) break;
    s->first = c->next;
    s->working = 1;
    pthread_mutex_unlock(&s->lock);
    run_command(s->device, c);
    free(c);
    pthread_mutex_lock(&s->lock);
    s->working = 0;
    pthread_cond_broadcast(&s->changed);
  }
  pthread_mutex_unlock(&s->lock);
  return NULL;
}

static int claw_streamCreate(void **made, unsigned flags) {
  (void)flags;
  CHECK;
  stream *s = calloc(1, sizeof *s);
  s->device = &devices[current];
  pthread_mutex_init(&s->lock, NULL);
  pthread_cond_init(&s->changed, NULL);
  pthread_create(&s->thread, NULL, stream_main, s);
  *made = s;
  return OK;
}
static int claw_streamCreatePlain(void **made) { return claw_streamCreate(made, 0); }
static int claw_streamQuery(void *handle) {
  stream *s = handle;
  pthread_mutex_lock(&s->lock);
  int busy = s->working || s->first != NULL;
  pthread_mutex_unlock(&s->lock);
  int code = state_of(s->device);
  return code != OK ? code : busy ? NOT_READY : OK;
}
static int claw_streamWait(void *handle) {
  stream *s = handle;
  pthread_mutex_lock(&s->lock);
  while (s->working || s->first != NULL) pthread_cond_wait(&s->changed, &s->lock);
  pthread_mutex_unlock(&s->lock);
  return state_of(s->device);
}
static int claw_streamDestroy(void *handle) {
  stream *s = handle;
  int code = state_of(s->device);
  pthread_mutex_lock(&s->lock);
  s->ended = 1;
  pthread_cond_broadcast(&s->changed);
  pthread_mutex_unlock(&s->lock);
  pthread_join(s->thread, NULL);
  free(s);
  return code;
}

static void append(command **first, command **last, command *c) {
  c->next = NULL;
  if (*first == NULL) *first = c;
  else (*last)->next = c;
  *last = c;
}
static int put(void *handle, command given) {
  stream *s = handle;
  if (s == NULL) return INVALID;
  command *c = malloc(sizeof *c);
  *c = given;
  if (s->capture != NULL) {
    append(&s->capture->first, &s->capture->last, c);
    return OK;
  }
  pthread_mutex_lock(&s->lock);
  append(&s->first, &s->last, c);
  pthread_cond_broadcast(&s->changed);
  pthread_mutex_unlock(&s->lock);
  return OK;
}

/* Faults count what runs, not what is captured. */
static int put_launch(void *handle, command c) {
  stream *s = handle;
  if (s == NULL) return INVALID;
  if (s->capture != NULL) return put(s, c);
  if (claw_fault("refuse")) return NO_RESOURCES;
  c.fault = claw_fault("launch") ? 'l' : claw_fault("lost") ? 'x' : claw_fault("wrong") ? 'w'
            : claw_fault("hang") ? 'h' : 0;
  return put(s, c);
}

static int copy(void *to, const void *from, size_t bytes, int toDevice, int fromDevice, void *s) {
  CHECK;
  device *d = &devices[current];
  pthread_mutex_lock(&memory_lock);
  int fits = (!toDevice || block_at(d, to, bytes)) && (!fromDevice || block_at(d, from, bytes));
  pthread_mutex_unlock(&memory_lock);
  return fits ? put(s, (command){.kind = COPY, .to = to, .from = from, .bytes = bytes}) : INVALID;
}
static int claw_copyToDevice(void *to, const void *from, size_t bytes, void *s) {
  return copy(to, from, bytes, 1, 0, s);
}
static int claw_copyToHost(void *to, const void *from, size_t bytes, void *s) {
  return copy(to, from, bytes, 0, 1, s);
}
static int claw_copyOnDevice(void *to, const void *from, size_t bytes, void *s) {
  return copy(to, from, bytes, 1, 1, s);
}
static int claw_copy(void *to, const void *from, size_t bytes, int kind, void *s) {
  return kind < 1 || kind > 3 ? INVALID : copy(to, from, bytes, kind != 2, kind != 1, s);
}
static int claw_fill(void *to, int value, size_t bytes, void *s) {
  CHECK;
  pthread_mutex_lock(&memory_lock);
  int fits = block_at(&devices[current], to, bytes) != NULL;
  pthread_mutex_unlock(&memory_lock);
  return fits ? put(s, (command){.kind = FILL, .to = to, .value = value, .bytes = bytes}) : INVALID;
}

static int claw_eventCreate(void **made, unsigned flags) {
  (void)flags;
  CHECK;
  *made = calloc(1, sizeof(event));
  return OK;
}
static int claw_eventCreatePlain(void **made) { return claw_eventCreate(made, 0); }
static int claw_eventRecord(void *handle, void *s) {
  CHECK;
  ((event *)handle)->done = 0;
  return put(s, (command){.kind = EVENT, .event = handle});
}
static int claw_eventElapsed(float *milliseconds, void *from, void *to) {
  const event *a = from, *b = to;
  if (!a->done || !b->done) return NOT_READY;
  *milliseconds = (float)((double)(b->time.tv_sec - a->time.tv_sec) * 1e3 +
                          (double)(b->time.tv_nsec - a->time.tv_nsec) / 1e6);
  return OK;
}
static int claw_eventDestroy(void *handle) {
  free(handle);
  return OK;
}

static int claw_moduleLoad(void **made, const void *image) {
  CHECK;
  const claw_code_head *head = image;
  if (memcmp(head->magic, CODE_MAGIC, 8) != 0 || !claw_known_architecture(head->architecture))
    return BAD_IMAGE;
  char path[] = "/tmp/claw-stub-XXXXXX";
  int file = mkstemp(path);
  if (file < 0) return NO_MEMORY;
  const char *bytes = (const char *)image + sizeof *head;
  for (size_t at = 0; at < head->bytes;) {
    ssize_t n = write(file, bytes + at, head->bytes - at);
    if (n <= 0) break;
    at += (size_t)n;
  }
  close(file);
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  unlink(path);
  if (library == NULL) return BAD_IMAGE;
  module *m = calloc(1, sizeof *m);
  char *(*start)(void) = (char *(*)(void))dlsym(library, "claw_shared_start");
  unsigned long (*length)(void) = (unsigned long (*)(void))dlsym(library, "claw_shared_length");
  *m = (module){
      library,
      dlsym(library, "claw_kernels"),
      dlsym(library, STUB_TEXT(STUB_THREAD)),
      dlsym(library, STUB_TEXT(STUB_BLOCK)),
      dlsym(library, STUB_TEXT(STUB_THREADS)),
      dlsym(library, STUB_TEXT(STUB_BLOCKS)),
      dlsym(library, "claw_wait_group"),
      dlsym(library, "claw_wait_warp"),
      start(),
      length(),
  };
  *made = m;
  return OK;
}
static int claw_moduleFunction(void **made, void *handle, const char *name) {
  CHECK;
  module *m = handle;
  for (const claw_kernel *k = m->kernels; k->name != NULL; k++) {
    if (strcmp(k->name, name) != 0) continue;
    /* Found functions live as long as the process; there are few. */
    function *f = malloc(sizeof *f);
    *f = (function){m, k};
    *made = f;
    return OK;
  }
  return NOT_FOUND;
}
static int claw_moduleUnload(void *handle) {
  CHECK;
  module *m = handle;
  dlclose(m->library);
  free(m);
  return OK;
}

static int claw_launch(void *handle, unsigned bx, unsigned by, unsigned bz, unsigned tx, unsigned ty,
                       unsigned tz, unsigned dynamic, void *s, void **parameters, void *extra) {
  CHECK;
  function *f = handle;
  device *d = &devices[current];
  command c = {.kind = LAUNCH, .function = f, .blocks = {bx, by, bz}, .threads = {tx, ty, tz}};
  unsigned long long threads = (unsigned long long)tx * ty * tz;
  if (bx == 0 || by == 0 || bz == 0 || threads == 0 || extra != NULL) return INVALID;
  if (bx > STUB_GRID_X || by > 65535 || bz > 65535 || threads > STUB_GROUP) return INVALID;
  if (f->kernel->bound != 0 && threads > (unsigned)f->kernel->bound) return INVALID;
  if (f->kernel->shared_bytes + dynamic > STUB_SHARED) return NO_RESOURCES;
  int count = (int)strlen(f->kernel->parameters);
  pthread_mutex_lock(&memory_lock);
  int fits = 1;
  for (int i = 0; i < count && fits; i++) {
    fits = parameters[i] != NULL;
    if (!fits) break;
    size_t bytes = f->kernel->parameters[i] == '4' ? 4 : 8;
    memcpy(&c.values[i], parameters[i], bytes);
    if (bytes == 8 && f->kernel->parameters[i] != '8')
      fits = block_at(d, (void *)(uintptr_t)c.values[i], 1) != NULL;
  }
  /* The caller ends its list by NULL, so that one parameter too many or too few is seen. */
  fits = fits && parameters[count] == NULL;
  pthread_mutex_unlock(&memory_lock);
  if (!fits) return INVALID;
  return put_launch(s, c);
}
static int claw_launchDims(void *f, claw_three blocks, claw_three threads, size_t dynamic, void *s,
                           void **parameters) {
  return claw_launch(f, blocks.x, blocks.y, blocks.z, threads.x, threads.y, threads.z,
                     (unsigned)dynamic, s, parameters, NULL);
}

static int claw_captureBegin(void *handle, int mode) {
  (void)mode;
  CHECK;
  stream *s = handle;
  if (s->capture != NULL) return INVALID;
  s->capture = calloc(1, sizeof(graph));
  return OK;
}
static int claw_captureEnd(void *handle, void **made) {
  CHECK;
  stream *s = handle;
  *made = s->capture;
  s->capture = NULL;
  return *made == NULL ? INVALID : OK;
}
static void free_graph(graph *g) {
  for (command *c = g->first; c != NULL;) {
    command *next = c->next;
    free(c);
    c = next;
  }
  free(g);
}
static int claw_graphInstantiate(void **made, void *handle, unsigned long long flags) {
  (void)flags;
  CHECK;
  graph *copy = calloc(1, sizeof *copy);
  for (command *c = ((graph *)handle)->first; c != NULL; c = c->next) {
    command *twin = malloc(sizeof *twin);
    *twin = *c;
    append(&copy->first, &copy->last, twin);
  }
  *made = copy;
  return OK;
}
static int claw_graphLaunch(void *handle, void *s) {
  CHECK;
  for (command *c = ((graph *)handle)->first; c != NULL; c = c->next) {
    int code = c->kind == LAUNCH ? put_launch(s, *c) : put(s, *c);
    if (code != OK) return code;
  }
  return OK;
}
static int claw_graphDestroy(void *handle) {
  free_graph(handle);
  return OK;
}
static int claw_graphExecutableDestroy(void *handle) {
  free_graph(handle);
  return OK;
}

static const char *claw_errorText(int code) {
  switch (code) {
    case OK: return "no error";
    case INVALID: return "invalid argument";
    case NO_MEMORY: return "out of memory";
    case NO_DEVICE: return "no device is detected";
    case NO_SUCH_DEVICE: return "invalid device ordinal";
    case BAD_IMAGE: return "device kernel image is invalid";
    case BAD_CONTEXT: return "invalid device context";
    case LOST: return "the device is lost or unavailable";
    case NOT_FOUND: return "named symbol not found";
    case NOT_READY: return "device not ready";
    case BAD_ADDRESS: return "an illegal memory access was encountered";
    case NO_RESOURCES: return "too many resources requested for launch";
    case LAUNCH_FAILED: return "unspecified launch failure";
    default: return "unrecognized error code";
  }
}
static int claw_errorTextOut(int code, const char **text) {
  *text = claw_errorText(code);
  return OK;
}

/* For tests: what core takes for a stub, and bytes that are allocated on all devices. */
__attribute__((visibility("default"))) int claw_stub_driver(void) { return 1; }
__attribute__((visibility("default"))) unsigned long long claw_stub_bytes(void) {
  unsigned long long bytes = 0;
  for (int i = 0; i < MOST_DEVICES; i++) bytes += devices[i].used;
  return bytes;
}
__attribute__((visibility("default"))) void claw_stub_restore(void) {
  for (int i = 0; i < MOST_DEVICES; i++) {
    if (devices[i].lost) wipe(&devices[i]);
    devices[i].lost = 0;
  }
}
