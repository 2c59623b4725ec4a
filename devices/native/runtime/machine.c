/*
 * The fixed part of the CPU device, first half: memory, modules, and which instructions there are.
 * Compiled as one text with runtime.c and addon.c, which come after it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#endif
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#include <time.h>

static int64_t claw_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- memory ---- */

static const size_t huge_page = (size_t)2 << 20;

/* Zeroed and aligned to 64 bytes; large blocks come as zero pages that huge pages may back. */
static void *claw_allocate(int64_t bytes) {
  size_t size = bytes > 0 ? (size_t)bytes : 1;
  if (size < huge_page) {
    void *p = NULL;
    if (posix_memalign(&p, 64, (size + 63) & ~(size_t)63) != 0) return NULL;
    return memset(p, 0, size);
  }
  size_t rounded = (size + huge_page - 1) & ~(huge_page - 1);
  char *raw = mmap(NULL, rounded + huge_page, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (raw == MAP_FAILED) return NULL;
  char *p = (char *)(((uintptr_t)raw + huge_page - 1) & ~(uintptr_t)(huge_page - 1));
  if (p > raw) munmap(raw, (size_t)(p - raw));
  size_t tail = (size_t)(raw + rounded + huge_page - (p + rounded));
  if (tail > 0) munmap(p + rounded, tail);
#ifdef MADV_HUGEPAGE
  madvise(p, rounded, MADV_HUGEPAGE);
#endif
  return p;
}

/* The caller's memory, which is about to be written for the first time: fewer, larger faults. */
static void claw_large_pages(void *p, int64_t bytes) {
#ifdef MADV_HUGEPAGE
  uintptr_t begin = ((uintptr_t)p + huge_page - 1) & ~(uintptr_t)(huge_page - 1);
  uintptr_t end = ((uintptr_t)p + (size_t)bytes) & ~(uintptr_t)(huge_page - 1);
  if (begin < end) madvise((void *)begin, end - begin, MADV_HUGEPAGE);
#endif
}

/* The caller's memory, which comes again and again: what is mapped by small pages is moved to large
 * ones, as far as the system can. */
static void claw_collapse(void *p, int64_t bytes) {
#if defined(__linux__)
  const int collapse = 25; /* MADV_COLLAPSE, which older headers lack */
  uintptr_t begin = ((uintptr_t)p + huge_page - 1) & ~(uintptr_t)(huge_page - 1);
  uintptr_t end = ((uintptr_t)p + (size_t)bytes) & ~(uintptr_t)(huge_page - 1);
  for (uintptr_t at = begin; at < end; at += huge_page) {
    if (madvise((void *)at, huge_page, collapse) != 0) return;
  }
#else
  (void)p, (void)bytes;
#endif
}

static void claw_free(void *p, int64_t bytes) {
  size_t size = bytes > 0 ? (size_t)bytes : 1;
  if (size < huge_page) free(p);
  else munmap(p, (size + huge_page - 1) & ~(huge_page - 1));
}

static void claw_copy(void *to, const void *from, int64_t bytes) {
  memmove(to, from, (size_t)bytes);
}

/* ---- modules ---- */

static void *claw_open(const char *path) { return dlopen(path, RTLD_NOW | RTLD_LOCAL); }
static const char *claw_open_error(void) { return dlerror(); }
static void *claw_symbol(void *module, const char *name) { return dlsym(module, name); }
static void claw_close(void *module) { dlclose(module); }

/* ---- instruction sets: bits 1 avx2 with fma, 2 avx512 (f, bw, dq, vl), 4 amx, 8 neon ---- */

/*
 * Whether this process may use tile registers: bf16 and int8 products, state that the system saves,
 * and its permission, asked for once; it covers threads that start later.
 */
static int amx_allowed(void) {
#if defined(__x86_64__) && defined(__linux__) && \
    ((defined(__clang__) && __clang_major__ >= 12) || (!defined(__clang__) && __GNUC__ >= 11))
  unsigned a, b, c, d;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
  const unsigned tile = 1u << 24, bf16 = 1u << 22, int8 = 1u << 25;
  if ((d & (tile | bf16 | int8)) != (tile | bf16 | int8)) return 0;
  const int request_permission = 0x1023, tile_data = 18;
  return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
#else
  return 0;
#endif
}

static int claw_features(void) {
  int bits = 0;
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) bits |= 1;
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
    bits |= 2;
    if (__builtin_cpu_supports("avx512vnni")) bits |= 16;
    if (amx_allowed()) bits |= 4;
  }
#elif defined(__aarch64__)
  bits |= 8;
#endif
  return bits;
}
