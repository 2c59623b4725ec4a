/** What CUDA's headers declare, as far as kernels use it: for compilers that come without them. */
export const cudaShim = `
#define __global__ __attribute__((global))
#define __device__ __attribute__((device))
#define __shared__ __attribute__((shared))
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...) __attribute__((launch_bounds(__VA_ARGS__)))
struct Three { unsigned x, y, z; };
extern const __device__ Three threadIdx, blockIdx, gridDim;
__device__ int atomicAdd(int *, int);
__device__ int atomicMin(int *, int);
__device__ int atomicMax(int *, int);
__device__ int atomicExch(int *, int);
extern "C" {
__device__ void __syncthreads();
__device__ float fmaf(float, float, float); __device__ float sqrtf(float);
__device__ float floorf(float); __device__ float ceilf(float); __device__ float truncf(float);
__device__ float rintf(float); __device__ float fabsf(float);
__device__ double fma(double, double, double); __device__ double sqrt(double);
__device__ double floor(double); __device__ double ceil(double); __device__ double trunc(double);
__device__ double rint(double); __device__ double fabs(double);
}
`;

const mathNames = 'fma sqrt floor ceil trunc rint fabs'.split(' ');
const mathMacros = mathNames.flatMap((name) => [
  `#define ${name} __builtin_${name}`,
  `#define ${name}f __builtin_${name}f`,
]);

/** The same for HIP: numbers of threads and barriers by the compiler's own functions. */
export const hipShim = `
#define __global__ __attribute__((global))
#define __device__ __attribute__((device))
#define __shared__ __attribute__((shared))
#define __launch_bounds__(n) __attribute__((amdgpu_flat_work_group_size(1, n)))
#define threadIdx Three{__builtin_amdgcn_workitem_id_x(), 0, 0}
#define blockIdx Three{__builtin_amdgcn_workgroup_id_x(), 0, 0}
#define gridDim Three{1, 1, 1}
struct Three { unsigned x, y, z; };
static inline __device__ void __syncthreads() {
  __builtin_amdgcn_fence(__ATOMIC_RELEASE, "workgroup");
  __builtin_amdgcn_s_barrier();
  __builtin_amdgcn_fence(__ATOMIC_ACQUIRE, "workgroup");
}
static inline __device__ int atomicMin(int *p, int v) {
  return __atomic_fetch_min(p, v, __ATOMIC_RELAXED);
}
static inline __device__ int atomicAdd(int *p, int v) {
  return __atomic_fetch_add(p, v, __ATOMIC_RELAXED);
}
${mathMacros.join('\n')}
`;
