/** Large pages for memory of the host: walks over large buffers then miss no page tables. */

/** Smallest buffers that large pages are asked for; they are 2 MiB on most hosts. */
export const largePagesFrom = 4 * 2 ** 20;

/** Multiple of the pages of every host. */
const pageBytes = 64 * 1024;
/** MADV_HUGEPAGE of Linux. */
const hugePage = 14;

type Koffi = typeof import('koffi');

/** Asks for large pages in a range that nothing has touched yet; does nothing elsewhere. */
export function pageAdvice(koffi: Koffi): (address: bigint, bytes: number) => void {
  if (process.platform !== 'linux') return () => {};
  let advise: ReturnType<ReturnType<Koffi['load']>['func']> | undefined;
  return (address, bytes) => {
    try {
      advise ??= koffi.load('libc.so.6').func('int madvise(uintptr_t at, size_t n, int what)');
      const skipped = Number(-address & BigInt(pageBytes - 1));
      const rest = Math.floor((bytes - skipped) / pageBytes) * pageBytes;
      // Its answer does not matter: the memory is the same without.
      if (rest > 0) advise(address + BigInt(skipped), rest, hugePage);
    } catch {
      // A host without this library or call has plain pages.
    }
  };
}
