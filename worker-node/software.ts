import description from "./package.json" with { type: "json" };

/** What this node tells a router of its own software. */
export const software = `cortensor-node/${description.version}`;
