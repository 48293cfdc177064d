import { html } from "hono/html";
import type { ServedModel } from "../objects/status-object.ts";

const style = `
  :root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent); --soft: color-mix(in srgb, currentColor 60%, transparent); }
  body { font: 16px/1.55 system-ui, sans-serif; max-width: 52rem; margin: 3rem auto; padding: 0 1.25rem; }
  h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { font-size: 1.1rem; margin: 2.25rem 0 .5rem; }
  p.lead { color: var(--soft); margin-top: 0; }
  table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .45rem .75rem .45rem 0; border-bottom: 1px solid var(--line); }
  th { font-weight: 600; color: var(--soft); font-size: .85rem; } td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
  pre { border: 1px solid var(--line); border-radius: .5rem; padding: .9rem 1rem; overflow-x: auto; font-size: .86rem; }
  .live { color: #1a8f4c; } .gone { color: var(--soft); }
`;

/** The page at `/`: what is served, by how many nodes, and a request that works from here. `origin` is this router's own. */
export function homePage({ models, origin }: { models: readonly ServedModel[]; origin: string }) {
  const chat = models.find((model) => model.card.kind === "chat" && model.liveNodes > 0);
  const curl = `curl -N ${origin}/v1/chat/completions \\
  -H "Authorization: Bearer $CORTENSOR_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{"model": "${chat?.id ?? "smollm2-135m-instruct"}", "stream": true,
       "messages": [{"role": "system", "content": "You are a helpful assistant."},
                    {"role": "user", "content": "What is the capital of France?"}]}'`;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="10">
<title>cortensor-edge</title>
<style>${style}</style>
</head>
<body>
<h1>cortensor-edge</h1>
<p class="lead">Many independent GPU owners, one OpenAI-compatible API. Base URL: <code>${origin}/v1</code></p>
<h2>Models</h2>
${
  models.length === 0
    ? html`<p>No node has connected yet. Join one with <code>cortensor-node start --router ${origin} --token inv-…</code></p>`
    : html`<table>
<thead><tr><th>model</th><th>kind</th><th class="number">context</th><th class="number">live nodes</th><th class="number">free slots</th><th class="number">waiting</th></tr></thead>
<tbody>${models.map(modelRow)}</tbody>
</table>`
}
<h2>Try it</h2>
<pre>${curl}</pre>
<p>A key comes from this deployment's admin: <code>npm run admin -- keys create</code></p>
</body>
</html>`;
}

function modelRow(model: ServedModel) {
  return html`<tr>
<td><code>${model.id}</code></td><td>${model.card.kind}</td><td class="number">${model.card.contextTokens}</td>
<td class="number ${model.liveNodes > 0 ? "live" : "gone"}">${model.liveNodes}</td>
<td class="number">${model.freeSlots} / ${model.slots}</td><td class="number">${model.waiting}</td>
</tr>`;
}
