"""Chats, streams, calls tools and asks for schemas through packages that people use, given only a URL and a key.

Reads {"baseUrl", "apiKey", "chatModel", "embeddingModel", "prompt", "question", "texts"} as JSON and prints what came as
JSON.
"""

import json
import sys
from typing import Literal

import openai
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel, ConfigDict, Field

asked = json.load(sys.stdin)
prompt, question = asked["prompt"], asked["question"]


class Place(BaseModel):
    """A city."""

    model_config = ConfigDict(extra="forbid")
    city: str = Field(max_length=20)
    size: Literal["small", "large"]


class Weather(BaseModel):
    """Weather of a city."""

    model_config = ConfigDict(extra="forbid")
    city: str = Field(max_length=20)


def with_openai() -> dict:
    client = openai.OpenAI(base_url=asked["baseUrl"], api_key=asked["apiKey"], max_retries=0)
    common = {"model": asked["chatModel"], "temperature": 0, "max_tokens": 60}
    weather = openai.pydantic_function_tool(Weather, name="weather")
    user = {"role": "user", "content": prompt}
    first = client.chat.completions.create(
        **common, messages=[user], tools=[weather], tool_choice="required", parallel_tool_calls=False
    )
    message = first.choices[0].message
    call = message.tool_calls[0]
    result = {"role": "tool", "tool_call_id": call.id, "content": "3 degrees and sunny"}
    second = client.chat.completions.create(**common, messages=[user, message, result], tools=[weather], tool_choice="none")
    parsed = client.chat.completions.parse(
        **common, messages=[{"role": "user", "content": "Name a city."}], response_format=Place
    )
    with client.responses.stream(
        model=asked["chatModel"], input=question, temperature=0, max_output_tokens=60
    ) as stream:
        events = list(stream)
    return {
        "call": json.loads(call.function.arguments),
        "second": second.choices[0].message.content,
        "place": parsed.choices[0].message.parsed.model_dump(),
        "response": events[-1].response.output_text,
        "deltas": "".join(event.delta for event in events if event.type == "response.output_text.delta"),
    }


def with_langchain() -> dict:
    model = ChatOpenAI(
        model=asked["chatModel"],
        base_url=asked["baseUrl"],
        api_key=asked["apiKey"],
        temperature=0,
        max_tokens=60,
        max_retries=0,
    )

    @tool(args_schema=Weather)
    def weather(city: str) -> str:
        """Weather of a city."""
        return "3 degrees and sunny"

    first = model.bind_tools([weather], tool_choice="weather").invoke(prompt)
    call = first.tool_calls[0]
    result = ToolMessage(content=weather.invoke(call["args"]), tool_call_id=call["id"])
    embeddings = OpenAIEmbeddings(
        model=asked["embeddingModel"],
        base_url=asked["baseUrl"],
        api_key=asked["apiKey"],
        # Texts as they are: without this it sends the token ids of OpenAI's own models.
        check_embedding_ctx_length=False,
        max_retries=0,
    )
    return {
        "whole": model.invoke(question).content,
        "streamed": "".join(chunk.content for chunk in model.stream(question)),
        "call": call["args"],
        "second": model.invoke([HumanMessage(prompt), first, result]).content,
        "place": model.with_structured_output(Place, method="json_schema").invoke("Name a city.").model_dump(),
        "vectors": embeddings.embed_documents(asked["texts"]),
    }


print(json.dumps({"openai": with_openai(), "langchain": with_langchain()}))
