"""Who said what in several recordings, with huggingface_hub's asynchronous client.

ENDPOINT_URL=https://your-endpoint HF_TOKEN=hf_... python async_inference_client.py a.m4a b.m4a

An endpoint works on one recording at a time; the others wait there, and no thread waits here.
"""

import asyncio
import os
import sys

from huggingface_hub import AsyncInferenceClient

client = AsyncInferenceClient(
    model=os.environ["ENDPOINT_URL"],
    token=os.environ.get("HF_TOKEN"),
    headers={"Content-Type": "application/json", "X-Scale-Up-Timeout": "600"},
    timeout=1800,
)


async def transcribe(path: str) -> None:
    """Print one recording's turns."""
    answer = await client.automatic_speech_recognition(path, extra_body={"max_speakers": 4})
    for turn in answer["speakers"]:
        print(f"{path}  {turn['speaker']}: {turn['text'].strip()}")


async def main() -> None:
    """All recordings of the command line."""
    await asyncio.gather(*map(transcribe, sys.argv[1:]))


asyncio.run(main())
