/*
 * What a kernel of this family finds when it is built as C for the host: built-in names, barriers
 * and shuffles through the stub's scheduler, atomics as plain code because groups run one by one.
 */
#include <math.h>
#include <stdbool.h>

typedef struct {
  unsigned x, y, z;
} claw_three;

claw_three STUB_THREAD, STUB_BLOCK, STUB_THREADS, STUB_BLOCKS;
void (*claw_wait_group)(void);
void (*claw_wait_warp)(void);
static unsigned long long claw_exchange[4096];

#define __global__
#define __device__
#define __forceinline__ inline
#define __restrict__ restrict
#define __launch_bounds__(...)
#define __shared__ static __attribute__((section("claw_shared")))
#define __syncthreads() claw_wait_group()
#define __syncwarp(...) claw_wait_warp()
#define warpSize STUB_WARP

#define claw_atomic(name, type, expression)      \
  static inline type name(type *p, type value) { \
    type old = *p;                               \
    *p = expression;                             \
    return old;                                  \
  }
claw_atomic(claw_add_i, int, (int)((unsigned)old + (unsigned)value))
claw_atomic(claw_add_u, unsigned, old + value)
claw_atomic(claw_min_i, int, value < old ? value : old)
claw_atomic(claw_min_u, unsigned, value < old ? value : old)
claw_atomic(claw_max_i, int, value > old ? value : old)
claw_atomic(claw_max_u, unsigned, value > old ? value : old)
claw_atomic(claw_set_i, int, value)
claw_atomic(claw_set_u, unsigned, value)
#define claw_by_type(p, i, u) _Generic((p), int *: i, unsigned *: u)
#define atomicAdd(p, v) claw_by_type(p, claw_add_i, claw_add_u)(p, v)
#define atomicMin(p, v) claw_by_type(p, claw_min_i, claw_min_u)(p, v)
#define atomicMax(p, v) claw_by_type(p, claw_max_i, claw_max_u)(p, v)
#define atomicExch(p, v) claw_by_type(p, claw_set_i, claw_set_u)(p, v)

/* The value that another thread of the same bundle of threads has put down. */
static inline unsigned long long claw_fetch(unsigned long long bits, unsigned change) {
  unsigned mine = STUB_THREAD.x;
  unsigned other = (mine & ~(STUB_WARP - 1u)) | ((mine ^ change) & (STUB_WARP - 1u));
  claw_exchange[mine] = bits;
  claw_wait_warp();
  bits = claw_exchange[other];
  claw_wait_warp();
  return bits;
}
static inline float claw_shuffle_f(float v, int k) {
  union {
    unsigned long long bits;
    float value;
  } both = {0};
  both.value = v;
  both.bits = claw_fetch(both.bits, (unsigned)k);
  return both.value;
}
static inline int claw_shuffle_i(int v, int k) {
  return (int)(unsigned)claw_fetch((unsigned)v, (unsigned)k);
}
#define __shfl_xor(v, k) _Generic((v), float: claw_shuffle_f, default: claw_shuffle_i)(v, k)
#define __shfl_xor_sync(mask, v, k) __shfl_xor(v, k)

/*
 * Matrix units, by the layouts that the instruction's manual gives: threads put their registers
 * down, then each adds up its own elements of D from those of the others.
 */
static inline float claw_half_bf16(unsigned half) {
  union {
    unsigned bits;
    float value;
  } both = {half << 16};
  return both.value;
}
static inline float claw_half_f16(unsigned half) {
  unsigned exponent = half >> 10 & 31, fraction = half & 1023;
  float size = exponent == 0    ? ldexpf((float)fraction, -24)
               : exponent == 31 ? (fraction == 0 ? INFINITY : NAN)
                                : ldexpf((float)(fraction + 1024), (int)exponent - 25);
  return half & 0x8000 ? -size : size;
}
static inline void claw_matrix(float (*decode)(unsigned), float *d[4], const unsigned a[4],
                               const unsigned b[2]) {
  unsigned mine = STUB_THREAD.x, first = mine & ~31u, g = mine % 32 / 4, t = mine % 4;
  for (int i = 0; i < 4; i++)
    claw_exchange[mine * 4 + i] = a[i] | (unsigned long long)(i < 2 ? b[i] : 0) << 32;
  claw_wait_warp();
  for (unsigned e = 0; e < 4; e++) {
    unsigned row = g + e / 2 * 8, column = 2 * t + e % 2;
    float sum = *d[e];
    for (unsigned k = 0; k < 16; k++) {
      unsigned holder = k % 8 / 2, shift = k % 2 * 16, later = k / 8;
      unsigned from = first + row % 8 * 4 + holder;
      unsigned left = (unsigned)claw_exchange[from * 4 + row / 8 + 2 * later];
      unsigned right = (unsigned)(claw_exchange[(first + column * 4 + holder) * 4 + later] >> 32);
      sum += decode(left >> shift & 0xffff) * decode(right >> shift & 0xffff);
    }
    *d[e] = sum;
  }
  claw_wait_warp();
}
#define claw_matrix_call(decode, d0, d1, d2, d3, a0, a1, a2, a3, b0, b1) \
  claw_matrix(decode, (float *[]){d0, d1, d2, d3}, (unsigned[]){a0, a1, a2, a3}, \
              (unsigned[]){b0, b1})
#if STUB_WARP == 32
#define mma_m16n8k16_bf16(...) claw_matrix_call(claw_half_bf16, __VA_ARGS__)
#define mma_m16n8k16_f16(...) claw_matrix_call(claw_half_f16, __VA_ARGS__)
#endif

/* One line per kernel, written behind the kernels by the stub's compiler. */
typedef struct {
  const char *name;
  void (*call)(void **parameters);
  /* One letter per parameter: r a pointer that is read, w one that is written, 4 or 8 bytes. */
  const char *parameters;
  unsigned long long shared_bytes;
  int bound;
  int waits;
} claw_kernel;

extern char __start_claw_shared[] __attribute__((weak, visibility("hidden")));
extern char __stop_claw_shared[] __attribute__((weak, visibility("hidden")));
