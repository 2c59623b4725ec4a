/** A table from text to objects that does not keep them alive. */

export interface WeakTable<T extends object> {
  /** The object of this key, made when there is none. */
  readonly get: (key: string, make: () => T) => T;
}

export function weakTable<T extends object>(): WeakTable<T> {
  const table = new Map<string, WeakRef<T>>();
  const forget = new FinalizationRegistry<string>((key) => {
    if (table.get(key)?.deref() === undefined) table.delete(key);
  });
  return {
    get: (key, make) => {
      const known = table.get(key)?.deref();
      if (known !== undefined) return known;
      const made = make();
      table.set(key, new WeakRef(made));
      forget.register(made, key);
      return made;
    },
  };
}
