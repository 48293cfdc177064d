import { readFileSync } from "node:fs";

/** Where to send requests: `OPENAI_BASE_URL` and `OPENAI_API_KEY`, else the network that `npm start` runs here. */
export function findRouter(): { baseURL: string; apiKey: string } {
  const { OPENAI_BASE_URL, OPENAI_API_KEY } = process.env;
  if (OPENAI_BASE_URL !== undefined && OPENAI_API_KEY !== undefined) {
    return { baseURL: OPENAI_BASE_URL, apiKey: OPENAI_API_KEY };
  }
  const running: { baseUrl: string; apiKey: string } = JSON.parse(
    readFileSync(new URL("../.devnet/running.json", import.meta.url), "utf8"),
  );
  return { baseURL: running.baseUrl, apiKey: running.apiKey };
}
