import { basename } from "node:path";
import { downloadHttp } from "./http-download.ts";
import type { OpenSource, OpenSourceOptions, SourceOf } from "./model-source.ts";

/**
 * Files of a Hugging Face repository over HTTPS. `HF_ENDPOINT` names another server that speaks the same paths and
 * `HF_TOKEN` is sent as the hub's own tools send it. Nothing is fetched before `fetch`.
 */
export function openHuggingFace(
  { repository }: SourceOf<"huggingface">,
  { environment, onProgress, signal }: OpenSourceOptions,
): OpenSource {
  const base = (environment.HF_ENDPOINT || "https://huggingface.co").replace(/\/+$/, "");
  const token = environment.HF_TOKEN;
  const title = URL.canParse(base) ? new URL(base).host : base;
  return {
    title,
    async fetch(file, part) {
      const path = `${repository}/resolve/main/${file.path}`.split("/").map(encodeURIComponent).join("/");
      const label = `${basename(file.path)} from ${title}`;
      await downloadHttp({
        url: `${base}/${path}`,
        headers: token ? { authorization: `Bearer ${token}` } : {},
        part,
        onBytes: (doneBytes) => onProgress({ label, doneBytes, totalBytes: file.sizeBytes }),
        signal,
      });
    },
    close: async () => {},
  };
}
