/** What counts how often any part of a structure is read or written. */
export interface Touches {
  count: number;
}

/**
 * The same structure behind proxies, which count each read and write of a property, each call on a `Map` or `Set` and
 * each step of walking through one, however deep. What is stored through it stays what it was: nothing proxied gets in.
 */
export function counted<Structure extends object>(structure: Structure, touches: Touches): Structure {
  const proxies = new WeakMap<object, object>();
  const originals = new WeakMap<object, object>();

  const original = (value: unknown): unknown =>
    typeof value === "object" && value !== null ? (originals.get(value) ?? value) : value;

  function proxied(value: unknown): unknown {
    if (typeof value !== "object" || value === null || originals.has(value)) return value;
    const known = proxies.get(value);
    if (known !== undefined) return known;
    const proxy = new Proxy(value, handler);
    proxies.set(value, proxy);
    originals.set(proxy, value);
    return proxy;
  }

  const handler: ProxyHandler<object> = {
    get(target, key) {
      touches.count += 1;
      const value: unknown = Reflect.get(target, key);
      const isCollection = target instanceof Map || target instanceof Set;
      if (typeof value !== "function" || !isCollection) return proxied(value);
      return (...given: unknown[]) => {
        const result: unknown = Reflect.apply(value, target, given.map(original));
        return result instanceof Iterator ? steps(result) : proxied(result);
      };
    },
    set(target, key, value) {
      touches.count += 1;
      return Reflect.set(target, key, original(value));
    },
  };

  function* steps(iterator: Iterable<unknown>): Generator<unknown> {
    for (const item of iterator) {
      touches.count += 1;
      yield Array.isArray(item) ? item.map(proxied) : proxied(item);
    }
  }

  const outermost = new Proxy<Structure>(structure, handler);
  proxies.set(structure, outermost);
  originals.set(outermost, structure);
  return outermost;
}
