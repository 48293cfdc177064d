/**
 * What Cloudflare asks on the Workers Paid plan past what its 5 dollars a month include, in US dollars. From the pages
 * "Pricing" of Workers and of Durable Objects (developers.cloudflare.com), as they were on this date; nothing here is
 * more than a copy of them.
 */
export const tariff = {
  asOf: "2026-06-30",
  /** Per million requests that come to the Worker from outside. Calls between Workers and objects are not among them. */
  workerRequests: 0.3,
  /** Per million milliseconds of the Worker's CPU time. */
  workerCpuMs: 0.02,
  /** Per million requests to objects: each RPC call, fetch and ringing alarm is one. */
  objectRequests: 0.15,
  /** So many messages that come in on an object's sockets are one request; those that go out cost nothing. */
  messagesPerRequest: 20,
  /** Per million GB-seconds that objects are active, each at this many GB whatever it uses. */
  objectGigabyteSeconds: 12.5,
  gigabytesPerObject: 0.128,
  /** Per million rows of objects with SQLite storage. Setting an alarm counts as a row written. */
  rowsRead: 0.001,
  rowsWritten: 1,
} as const;
