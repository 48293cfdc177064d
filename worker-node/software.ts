/** What this node tells a router of its own software. */
export const software = "cortensor-node/0.1.0";
