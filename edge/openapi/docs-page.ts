import { html } from "hono/html";

/** The reference as a page: what `/openapi.json` says, with a form for each operation that makes the request. */
export function docsPage(): ReturnType<typeof html> {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>cortensor-edge: reference</title>
<style>
  :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
  body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
  h2 { margin-top: 2rem; }
  details { border: 1px solid color-mix(in srgb, currentcolor 25%, transparent); border-radius: .4rem; margin: .4rem 0; padding: .4rem .8rem; }
  summary { cursor: pointer; }
  code, textarea, pre, input { font: 14px/1.4 ui-monospace, monospace; }
  textarea { width: 100%; min-height: 8rem; box-sizing: border-box; }
  pre { overflow: auto; max-height: 30rem; background: color-mix(in srgb, currentcolor 8%, transparent); padding: .6rem; }
  input { width: 100%; box-sizing: border-box; padding: .3rem; }
  label { display: block; margin: .4rem 0; }
  .method { display: inline-block; min-width: 4.5rem; font-weight: 600; text-transform: uppercase; }
</style>
</head>
<body>
<h1>Reference</h1>
<p>Everything this router can be asked, from <a href="openapi.json">openapi.json</a>. A key makes the forms work; it stays in this page.</p>
<label>Key <input id="key" type="password" placeholder="sk-…" autocomplete="off"></label>
<main id="operations">Loading …</main>
<script type="module">
const element = (tag, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
};
const reference = await (await fetch("openapi.json")).json();
const operations = document.getElementById("operations");
operations.textContent = "";
let tag = "";
for (const [path, methods] of Object.entries(reference.paths)) {
  for (const [method, operation] of Object.entries(methods)) {
    if (operation.tags[0] !== tag) operations.append(element("h2", { textContent: (tag = operation.tags[0]) }));
    operations.append(show(path, method, operation));
  }
}

function show(path, method, operation) {
  const content = operation.requestBody?.content ?? {};
  const json = content["application/json"];
  const inputs = (operation.parameters ?? []).map((parameter) => ({
    parameter,
    input: element("input", { placeholder: JSON.stringify(parameter.schema) }),
  }));
  const file = content["multipart/form-data"] === undefined ? undefined : element("input", { type: "file" });
  const body = json === undefined ? undefined : element("textarea", { value: JSON.stringify(json.example ?? {}, null, 2) });
  const answer = element("pre", { hidden: true });
  const button = element("button", { textContent: "Send" });
  button.onclick = () => send({ path, method, inputs, body, file, answer, button });
  return element(
    "details",
    {},
    element("summary", {}, element("span", { className: "method", textContent: method }), element("code", { textContent: path }), " " + operation.summary),
    ...inputs.map(({ parameter, input }) => element("label", {}, parameter.name + " (" + parameter.in + ") ", input)),
    ...(body === undefined ? [] : [element("label", {}, "Body ", body)]),
    ...(file === undefined ? [] : [element("label", {}, "A file, for a batch ", file)]),
    button,
    answer,
    ...(json === undefined ? [] : [element("details", {}, element("summary", { textContent: "Schema of the body" }), element("pre", { textContent: JSON.stringify(json.schema, null, 2) }))]),
  );
}

async function send({ path, method, inputs, body, file, answer, button }) {
  button.disabled = true;
  answer.hidden = false;
  answer.textContent = "…";
  try {
    let url = path;
    const query = new URLSearchParams();
    for (const { parameter, input } of inputs) {
      if (input.value === "") continue;
      if (parameter.in === "path") url = url.replace("{" + parameter.name + "}", encodeURIComponent(input.value));
      else query.set(parameter.name, input.value);
    }
    const headers = { authorization: "Bearer " + document.getElementById("key").value };
    let sent;
    if (body !== undefined) {
      headers["content-type"] = "application/json";
      sent = body.value;
    } else if (file !== undefined) {
      sent = new FormData();
      sent.append("purpose", "batch");
      if (file.files[0] !== undefined) sent.append("file", file.files[0]);
    }
    const search = query.size === 0 ? "" : "?" + query;
    const response = await fetch(url.slice(1) + search, { method: method.toUpperCase(), headers, body: sent });
    answer.textContent = response.status + " " + response.headers.get("x-request-id") + "\\n\\n";
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) answer.textContent += part.value;
  } catch (error) {
    answer.textContent = String(error);
  } finally {
    button.disabled = false;
  }
}
</script>
</body>
</html>`;
}
