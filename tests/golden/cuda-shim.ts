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
