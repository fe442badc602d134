"""Who said what, with huggingface_hub's client (0.30 or newer).

ENDPOINT_URL=https://your-endpoint HF_TOKEN=hf_... python inference_client.py call.m4a
"""

import os
import sys

from huggingface_hub import InferenceClient

client = InferenceClient(
    model=os.environ["ENDPOINT_URL"],
    token=os.environ.get("HF_TOKEN"),
    # Clients before 0.36 name no type, and an endpoint refuses what has none.
    headers={"Content-Type": "application/json", "X-Scale-Up-Timeout": "600"},
    timeout=1800,
)
# With a parameter in `extra_body` the client sends JSON, which takes any format of recording.
answer = client.automatic_speech_recognition(sys.argv[1], extra_body={"num_speakers": 2})

# What is beside `text` and `chunks` stays in the answer as plain lists and dicts.
for turn in answer["speakers"]:
    start, end = turn["timestamp"]
    print(f"{start:6.1f} to {end:6.1f}  {turn['speaker']}: {turn['text'].strip()}")
