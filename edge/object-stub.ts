/** Names that this isolate remembers the ids of, for each kind of object; past it all are forgotten. */
const mostNames = 10_000;

const idsOf = new WeakMap<object, Map<string, DurableObjectId>>();

/**
 * The object of a name. The id of a name is a hash, and is remembered from one request to the next; the stub belongs to
 * the request that asks.
 */
export function objectStub<Kind extends Rpc.DurableObjectBranded>(
  namespace: DurableObjectNamespace<Kind>,
  name: string,
): DurableObjectStub<Kind> {
  let ids = idsOf.get(namespace);
  if (ids === undefined) {
    ids = new Map();
    idsOf.set(namespace, ids);
  }
  let id = ids.get(name);
  if (id === undefined) {
    if (ids.size >= mostNames) ids.clear();
    id = namespace.idFromName(name);
    ids.set(name, id);
  }
  return namespace.get(id);
}
