/** One way to the same backend, or for ours to nodes with the same engine. */
export interface Way {
  name: string;
  url: string;
  headers: Readonly<Record<string, string>>;
  /** The gateway's process; the backend's own for the direct way. */
  pid: number;
}
