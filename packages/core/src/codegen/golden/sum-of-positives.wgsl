var<private> nan_bits: u32 = 0x7fc00000u;
var<private> infinity_bits: u32 = 0x7f800000u;
fn floor_divide(a: i32, b: i32) -> i32 { return a / b - select(0, 1, a % b < 0); }
fn floor_modulo(a: i32, b: i32) -> i32 { let r = a % b; return select(r, r + b, r < 0); }
// kernel positive0
@group(0) @binding(0) var<storage, read> positive0_x: array<f32>;
@group(0) @binding(1) var<storage, read_write> positive0_total: array<f32>;
@group(0) @binding(2) var<storage, read_write> positive0_status: atomic<i32>;
struct positive0_sizes_type { n: i32 }
@group(0) @binding(3) var<uniform> positive0_sizes: positive0_sizes_type;
var<workgroup> positive0_exchange_f32: array<f32, 32>;
@compute @workgroup_size(32)
fn positive0(
    @builtin(local_invocation_index) thread: u32,
    @builtin(workgroup_id) block: vec3<u32>,
    @builtin(num_workgroups) blocks: vec3<u32>) {
  let n = positive0_sizes.n;
  let lane = i32(thread);
  let task = i32(block.x + blocks.x * (block.y + blocks.y * block.z));
  if (!(task < ((n + 63i) / 64i))) { return; }
  let g = task;
  var v0_0: f32 = 0.0f;
  if (lane < (n - g * 64i)) {
    v0_0 = positive0_x[g * 64i + lane];
  }
  var v0_1: f32 = 0.0f;
  if ((lane + 32i) < (n - g * 64i)) {
    v0_1 = positive0_x[g * 64i + lane + 32i];
  }
  let v2_0: f32 = select(0.0f, v0_0, v0_0 > 0.0f || ((bitcast<u32>(v0_0) & 0x7fffffffu) > 0x7f800000u));
  let v2_1: f32 = select(0.0f, v0_1, v0_1 > 0.0f || ((bitcast<u32>(v0_1) & 0x7fffffffu) > 0x7f800000u));
  var p3_0: f32 = v2_0;
  p3_0 = (p3_0 + v2_1);
  positive0_exchange_f32[lane] = p3_0;
  workgroupBarrier();
  if (lane < 16i) {
    let o_1: f32 = positive0_exchange_f32[lane + 16i];
    p3_0 = (p3_0 + o_1);
    positive0_exchange_f32[lane] = p3_0;
  }
  workgroupBarrier();
  if (lane < 8i) {
    let o_2: f32 = positive0_exchange_f32[lane + 8i];
    p3_0 = (p3_0 + o_2);
    positive0_exchange_f32[lane] = p3_0;
  }
  workgroupBarrier();
  if (lane < 4i) {
    let o_3: f32 = positive0_exchange_f32[lane + 4i];
    p3_0 = (p3_0 + o_3);
    positive0_exchange_f32[lane] = p3_0;
  }
  workgroupBarrier();
  if (lane < 2i) {
    let o_4: f32 = positive0_exchange_f32[lane + 2i];
    p3_0 = (p3_0 + o_4);
    positive0_exchange_f32[lane] = p3_0;
  }
  workgroupBarrier();
  if (lane < 1i) {
    let o_5: f32 = positive0_exchange_f32[lane + 1i];
    p3_0 = (p3_0 + o_5);
    positive0_exchange_f32[lane] = p3_0;
  }
  workgroupBarrier();
  let v3r_6_0: f32 = positive0_exchange_f32[0i];
  if (lane < 1i) {
    positive0_total[g] = v3r_6_0;
  }
  let v5_0: bool = (v0_0 < (-1.0f));
  let v5_1: bool = (v0_1 < (-1.0f));
  if (v5_0) { atomicMin(&positive0_status, 9i); }
  if (v5_1) { atomicMin(&positive0_status, 9i); }
}
