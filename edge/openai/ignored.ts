import { z } from "zod";

/**
 * Parameters of OpenAI's that change nothing of an answer, there or here: checked as its description has them, and then
 * ignored. `user` stands with the sampling, since all endpoints have it.
 */
export const ignoredFields = {
  safety_identifier: z.string().max(64, "must have at most 64 characters").nullish(),
  prompt_cache_key: z.string().nullish(),
  prompt_cache_retention: z.enum(["in_memory", "in-memory", "24h"], { error: "must be in_memory or 24h" }).nullish(),
  service_tier: z
    .enum(["auto", "default", "flex", "scale", "priority"], {
      error: "must be auto, default, flex, scale or priority",
    })
    .nullish(),
};
