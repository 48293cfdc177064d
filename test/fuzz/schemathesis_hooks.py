"""Bends what schemathesis draws so that some of it reaches a node, and its answer takes little."""

import os

import schemathesis

most_tokens = 3
bounds = ("max_tokens", "max_completion_tokens", "max_output_tokens")


@schemathesis.hook
def map_body(context, body):
    """Any model's name becomes one that there is; an answer gets a small bound where it has none or a large one."""
    if not isinstance(body, dict):
        return body
    if isinstance(body.get("model"), str):
        embeds = context.operation.path.endswith("/embeddings")
        body["model"] = os.environ["FUZZ_EMBEDDING_MODEL" if embeds else "FUZZ_CHAT_MODEL"]
    for name in bounds:
        if isinstance(body.get(name), int) and body[name] > most_tokens:
            body[name] = most_tokens
    if all(body.get(name) is None for name in bounds):
        bound = bounds[2] if context.operation.path.endswith("/responses") else bounds[0]
        body[bound] = most_tokens
    return body
