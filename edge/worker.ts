import { createApp } from "./app.ts";

export { AccountObject } from "./objects/account-object.ts";
export { NodeObject } from "./objects/node-object.ts";
export { PoolObject } from "./objects/pool-object.ts";
export { StatusObject } from "./objects/status-object.ts";

export default createApp();
