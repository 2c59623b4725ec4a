/** Calls of a library on other threads. */

type Koffi = typeof import('koffi');
type Call = ReturnType<ReturnType<Koffi['load']>['func']>;

/** Compilers inside drivers recurse deeply; koffi gives other threads 128 KiB unless asked. */
const compilerStackBytes = 8 * 2 ** 20;

/**
 * Whether calls on other threads have the stack of a compiler: koffi takes its settings before
 * anybody in the process has opened a library.
 */
export function hasDeepStacks(koffi: Koffi): boolean {
  try {
    koffi.config({ async_stack_size: compilerStackBytes });
  } catch {
    // What was set first stays.
  }
  return (koffi.config().async_stack_size ?? 0) >= compilerStackBytes;
}

/** A call on another thread; what it points to stays referenced until it ends. */
export function callAside(call: Call, values: readonly unknown[]): Promise<number> {
  return new Promise((resolve, reject) => {
    call.async(...values, (error: unknown, result: number) => {
      void values;
      if (error === null || error === undefined) resolve(result);
      else reject(error as Error);
    });
  });
}

/** A call that may compile: on this thread where the others have no stack for it. */
export async function callCompiler(
  deep: boolean,
  call: Call,
  values: readonly unknown[],
): Promise<number> {
  return deep ? callAside(call, values) : (call(...values) as number);
}
