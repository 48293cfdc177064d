import { keyIdSchema, networkAccountId } from "../../core/ids.ts";
import type { Principal } from "../authenticate.ts";

/** Who asks for the network's own work, as checks are: nobody who is billed. */
export const networkPrincipal: Principal = {
  accountId: networkAccountId,
  keyId: keyIdSchema.parse("key_network_audit"),
};
