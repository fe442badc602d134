"""Who said what, with OpenAI's package and our server (`python -m asr_diarization serve`).

ENDPOINT_URL=http://localhost:8000 HF_TOKEN=one-of-API_KEYS python openai_client.py call.m4a
"""

import os
import sys
from pathlib import Path

from openai import OpenAI

client = OpenAI(
    base_url=f"{os.environ['ENDPOINT_URL']}/v1", api_key=os.environ.get("HF_TOKEN") or "none"
)
with Path(sys.argv[1]).open("rb") as audio:
    answer = client.audio.transcriptions.create(
        model="whisper-1",  # any name: the server has one model
        file=audio,
        response_format="diarized_json",
        extra_body={"num_speakers": 2},
    )
for segment in answer.segments:
    print(f"{segment.start:6.1f} {segment.speaker}: {segment.text.strip()}")
