# The same from Python: pip install openai, then python3 examples/chat.py
import json
import os
import pathlib

from openai import OpenAI

running = pathlib.Path(__file__).parent.parent / ".devnet" / "running.json"
if "OPENAI_BASE_URL" in os.environ:
    client = OpenAI()
else:
    network = json.loads(running.read_text())
    client = OpenAI(base_url=network["baseUrl"], api_key=network["apiKey"])

answer = client.chat.completions.create(
    model="smollm2-135m-instruct",
    temperature=0,
    max_tokens=60,
    messages=[
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": "What is the capital of France?"},
    ],
)
print(answer.choices[0].message.content)
