/*
 * The fixed part of the CPU device, second half: a thread pool that runs a packed list of commands.
 * Compiled once with the same compiler as the kernels; JavaScript calls it through addon.c.
 */
#define MAX_THREADS 1024

typedef void (*entry_function)(void *const *buffers, const int64_t *sizes, char *scratch,
                               int64_t begin, int64_t end);

/* Why a run ended early; the caller maps these to errors. */
enum { DONE = 0, ABORTED = 1, TIMED_OUT = 2, NO_SCRATCH = 3, BAD_COMMAND = 4 };

/* ---- thread pool ---- */

struct job {
  entry_function entry;
  void *const *buffers;
  const int64_t *sizes;
  int64_t tasks;
  int64_t grain;
  int64_t scratch_bytes;
  int64_t deadline;
  const atomic_int *stop;
  int threads;
  atomic_int reason;
};

/*
 * The next chunk of a thread's part of a job. In every job a thread begins with the same part, so
 * that what it wrote is in its core's caches; then it helps the others.
 */
struct part {
  _Alignas(64) atomic_int_fast64_t next;
};

static struct {
  pthread_mutex_t launch; /* one job at a time */
  pthread_mutex_t mutex;  /* guards sleeping */
  pthread_cond_t wake;
  struct job job;
  struct part parts[MAX_THREADS + 1];
  atomic_int open;      /* workers may take chunks of the job */
  atomic_int inside;    /* workers that look at the job now */
  atomic_uint generation;
  atomic_int sleepers;
  int workers;
} pool = {.launch = PTHREAD_MUTEX_INITIALIZER,
          .mutex = PTHREAD_MUTEX_INITIALIZER,
          .wake = PTHREAD_COND_INITIALIZER};

/* Between two calls from JavaScript lie 50 to 150 microseconds; a sleeper that is woken starts late. */
static const int64_t spin_nanoseconds = 200000;

static inline void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

static _Thread_local char *scratch;
static _Thread_local int64_t scratch_size;

static char *scratch_of(int64_t bytes) {
  if (bytes <= scratch_size) return scratch;
  if (scratch != NULL) claw_free(scratch, scratch_size);
  scratch_size = 0;
  /* A large page from a quarter of it on: what tasks keep in the second cache is read at random. */
  if (bytes > (int64_t)huge_page / 4 && bytes < (int64_t)huge_page) bytes = (int64_t)huge_page;
  scratch = claw_allocate(bytes);
  if (scratch != NULL) scratch_size = bytes;
  return scratch;
}

/* Chunks of `grain` tasks or one less: a short last one would leave its thread idle. */
static int64_t chunks_of(const struct job *job) {
  return (job->tasks + job->grain - 1) / job->grain;
}

/* The first chunk of a thread's part, which is the end of the part before. */
static int64_t first_of(const struct job *job, int thread) {
  return chunks_of(job) * thread / job->threads;
}

static void run_part(struct job *job, struct part *part, int64_t end, char *own) {
  const int64_t chunks = chunks_of(job);
  const int64_t size = job->tasks / chunks, longer = job->tasks % chunks;
  while (atomic_load_explicit(&job->reason, memory_order_relaxed) == DONE) {
    int64_t chunk = atomic_fetch_add_explicit(&part->next, 1, memory_order_relaxed);
    if (chunk >= end) return;
    int64_t begin = chunk * size + (chunk < longer ? chunk : longer);
    job->entry(job->buffers, job->sizes, own, begin, begin + size + (chunk < longer));
    if (job->stop != NULL && atomic_load_explicit(job->stop, memory_order_relaxed) != 0) {
      atomic_store(&job->reason, ABORTED);
    } else if (job->deadline != 0 && claw_now() > job->deadline) {
      atomic_store(&job->reason, TIMED_OUT);
    }
  }
}

static void run_chunks(struct job *job, struct part *parts, int thread) {
  char *own = NULL;
  if (job->scratch_bytes > 0 && (own = scratch_of(job->scratch_bytes)) == NULL) {
    atomic_store(&job->reason, NO_SCRATCH);
    return;
  }
  for (int i = 0; i < job->threads; i++) {
    const int at = (thread + i) % job->threads;
    run_part(job, &parts[at], first_of(job, at + 1), own);
  }
}

/*
 * A scheduler may wake a thread where it fell asleep, on the core that its waker keeps busy,
 * although others idle: such a worker is kept off that core until it runs. Under the mutex.
 */
#if defined(__linux__)
static struct seat {
  pid_t sleeper; /* 0: awake */
  int core, moved;
  cpu_set_t cores;
} seats[MAX_THREADS];

static void falls_asleep(struct seat *seat) {
  seat->core = sched_getcpu();
  seat->sleeper = (pid_t)syscall(SYS_gettid);
}

static void is_awake(struct seat *seat) {
  if (seat->moved) sched_setaffinity(0, sizeof seat->cores, &seat->cores);
  seat->sleeper = seat->moved = 0;
}

static void clear_this_core(void) {
  const int here = sched_getcpu();
  for (struct seat *seat = seats; seat < seats + pool.workers; seat++) {
    cpu_set_t others;
    if (seat->sleeper == 0 || seat->moved || seat->core != here || here < 0) continue;
    if (sched_getaffinity(seat->sleeper, sizeof others, &others) != 0) continue;
    seat->cores = others;
    CPU_CLR(here, &others);
    /* Refused where no core is left. */
    seat->moved = sched_setaffinity(seat->sleeper, sizeof others, &others) == 0;
  }
}
#else
static struct seat {
  char unused;
} seats[MAX_THREADS];
#define falls_asleep(seat) (void)(seat)
#define is_awake(seat) (void)(seat)
#define clear_this_core() (void)0
#endif

static void *work(void *own) {
  struct seat *seat = own;
  const int number = 1 + (int)(seat - seats); /* the launcher is 0 */
  unsigned seen = 0;
  for (;;) {
    int64_t started = claw_now();
    unsigned now;
    while ((now = atomic_load(&pool.generation)) == seen) {
      relax();
      if (claw_now() - started < spin_nanoseconds) continue;
      pthread_mutex_lock(&pool.mutex);
      atomic_fetch_add(&pool.sleepers, 1);
      falls_asleep(seat);
      while (atomic_load(&pool.generation) == seen) pthread_cond_wait(&pool.wake, &pool.mutex);
      is_awake(seat);
      atomic_fetch_sub(&pool.sleepers, 1);
      pthread_mutex_unlock(&pool.mutex);
    }
    seen = now;
    /* Announced before looking: the launcher closes the job first and then waits for `inside`. */
    atomic_fetch_add(&pool.inside, 1);
    if (atomic_load(&pool.open) && number < pool.job.threads) {
      run_chunks(&pool.job, pool.parts, number);
    }
    atomic_fetch_sub(&pool.inside, 1);
  }
  return NULL;
}

/* Workers beside the calling thread: `threads` − 1, as far as the system gives them. */
static int claw_threads(int threads) {
  pthread_mutex_lock(&pool.launch);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  while (pool.workers < threads - 1 && pool.workers < MAX_THREADS) {
    pthread_t thread;
    if (pthread_create(&thread, &attributes, work, &seats[pool.workers]) != 0) break;
    pool.workers++;
  }
  pthread_attr_destroy(&attributes);
  int have = pool.workers + 1;
  pthread_mutex_unlock(&pool.launch);
  return have;
}

static void fill_job(struct job *job, const struct job *from, int threads, struct part *parts) {
  memcpy(job, from, offsetof(struct job, threads));
  job->threads = threads;
  atomic_store(&job->reason, DONE);
  for (int i = 0; i < threads; i++) atomic_store(&parts[i].next, first_of(job, i));
}

static int run_alone(const struct job *wanted) {
  struct job job;
  struct part all;
  fill_job(&job, wanted, 1, &all);
  run_chunks(&job, &all, 0);
  return atomic_load(&job.reason);
}

/* A caller that may not wait works alone while another environment's launch has the threads. */
static int run_parallel(const struct job *wanted, int threads, int may_wait) {
  if (may_wait) pthread_mutex_lock(&pool.launch);
  else if (pthread_mutex_trylock(&pool.launch) != 0) return run_alone(wanted);
  const int most = pool.workers + 1;
  fill_job(&pool.job, wanted, threads < most ? threads : most, pool.parts);
  atomic_store(&pool.open, 1);
  atomic_fetch_add(&pool.generation, 1);
  if (atomic_load(&pool.sleepers) > 0) {
    pthread_mutex_lock(&pool.mutex);
    clear_this_core();
    pthread_cond_broadcast(&pool.wake);
    pthread_mutex_unlock(&pool.mutex);
  }
  run_chunks(&pool.job, pool.parts, 0);
  atomic_store(&pool.open, 0);
  for (int spins = 0; atomic_load(&pool.inside) > 0; spins++) {
    if (spins < 10000) relax();
    else sched_yield();
  }
  int reason = atomic_load(&pool.job.reason);
  pthread_mutex_unlock(&pool.launch);
  return reason;
}

/* ---- commands: 64-bit words, each command {kind, words, …} ---- */

enum { LAUNCH = 0, COPY = 1, FILL = 2 };

/* launch: entry, tasks, grain, scratch, buffer count, size count, buffers…, sizes… */
static int launch(const int64_t *c, const atomic_int *stop, int64_t deadline, int threads,
                  int may_wait) {
  struct job job = {.entry = (entry_function)(uintptr_t)c[2],
                    .tasks = c[3],
                    .grain = c[4] > 0 ? c[4] : 1,
                    .scratch_bytes = c[5],
                    .buffers = (void *const *)(c + 8),
                    .sizes = c + 8 + c[6],
                    .deadline = deadline,
                    .stop = stop};
  if (job.tasks <= 0) return DONE;
  if (threads <= 1 || job.tasks <= job.grain) return run_alone(&job);
  return run_parallel(&job, threads, may_wait);
}

/* Long copies and fills in pieces, so that they too can be stopped. */
static const int64_t piece = (int64_t)8 << 20;

static int stopped(const atomic_int *stop, int64_t deadline) {
  if (stop != NULL && atomic_load_explicit(stop, memory_order_relaxed) != 0) return ABORTED;
  return deadline != 0 && claw_now() > deadline ? TIMED_OUT : DONE;
}

static int copy(const int64_t *c, const atomic_int *stop, int64_t deadline) {
  char *to = (char *)(uintptr_t)c[2];
  const char *from = (const char *)(uintptr_t)c[3];
  int64_t bytes = c[4];
  int overlap = from < to + bytes && to < from + bytes;
  if (overlap) memmove(to, from, (size_t)bytes);
  for (int64_t at = 0; !overlap && at < bytes; at += piece) {
    int reason = stopped(stop, deadline);
    if (reason != DONE) return reason;
    memcpy(to + at, from + at, (size_t)(bytes - at < piece ? bytes - at : piece));
  }
  return DONE;
}

static int fill(const int64_t *c, const atomic_int *stop, int64_t deadline) {
  char *to = (char *)(uintptr_t)c[2];
  for (int64_t at = 0; at < c[4]; at += piece) {
    int reason = stopped(stop, deadline);
    if (reason != DONE) return reason;
    memset(to + at, (int)c[3], (size_t)(c[4] - at < piece ? c[4] - at : piece));
  }
  return DONE;
}

/*
 * Runs `count` commands in order. Gives 0, or reason + 8 · index of the command that did not end.
 * `limit` is in nanoseconds from the call, 0 for none; `times` takes nanoseconds per command.
 */
static int64_t claw_run(const int64_t *words, int64_t count, const void *stop, int64_t limit,
                        int threads, int64_t *times, int may_wait) {
  int64_t deadline = limit > 0 ? claw_now() + limit : 0;
  int64_t before = claw_now();
  for (int64_t i = 0; i < count; i++, words += words[1]) {
    int reason = stopped(stop, deadline);
    if (reason == DONE) {
      switch (words[0]) {
        case LAUNCH: reason = launch(words, stop, deadline, threads, may_wait); break;
        case COPY: reason = copy(words, stop, deadline); break;
        case FILL: reason = fill(words, stop, deadline); break;
        default: reason = BAD_COMMAND;
      }
    }
    if (reason != DONE) return reason + 8 * i;
    int64_t after = claw_now();
    if (times != NULL) times[i] = after - before;
    before = after;
  }
  return 0;
}
