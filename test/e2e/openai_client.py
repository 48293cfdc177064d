"""Asks a router everything that a consumer asks, through the `openai` package with nothing but its URL and key.

Reads {"baseUrl", "apiKey", "chatModel", "embeddingModel", "messages", "texts"} as JSON and prints what came as JSON.
"""

import json
import sys

import openai

asked = json.load(sys.stdin)
client = openai.OpenAI(base_url=asked["baseUrl"], api_key=asked["apiKey"], max_retries=0)
chat = {"model": asked["chatModel"], "messages": asked["messages"], "temperature": 0, "max_tokens": 32}

whole = client.chat.completions.create(**chat)
chunks = list(client.chat.completions.create(**chat, stream=True, stream_options={"include_usage": True}))

texts = {"model": asked["embeddingModel"], "input": asked["texts"]}
default = client.embeddings.create(**texts)
floats = client.embeddings.create(**texts, encoding_format="float")

try:
    client.with_options(api_key="sk-wrong").models.list()
    wrong_key = None
except openai.AuthenticationError as error:
    wrong_key = {"status": error.status_code, "code": error.code}

print(
    json.dumps(
        {
            "models": [model.id for model in client.models.list()],
            "retrieved": client.models.retrieve(asked["chatModel"]).id,
            "whole": whole.model_dump(mode="json"),
            "chunks": [chunk.model_dump(mode="json") for chunk in chunks],
            "default": [each.embedding for each in default.data],
            "floats": [each.embedding for each in floats.data],
            "embeddingUsage": default.usage.model_dump(mode="json"),
            "wrongKey": wrong_key,
        }
    )
)
