"""Who said what, with requests: the recording as it is, parameters in the query string.

ENDPOINT_URL=https://your-endpoint HF_TOKEN=hf_... python raw_audio.py call.wav
"""

import os
import sys
from pathlib import Path

import requests

TYPES = {".wav": "audio/wav", ".flac": "audio/flac", ".mp3": "audio/mpeg", ".m4a": "audio/m4a"}

audio = Path(sys.argv[1])
answer = requests.post(
    os.environ["ENDPOINT_URL"],
    params={"num_speakers": 2, "language": "en"},
    data=audio.read_bytes(),
    headers={
        "Authorization": f"Bearer {os.environ.get('HF_TOKEN', '')}",
        "Content-Type": TYPES[audio.suffix],
        "X-Scale-Up-Timeout": "600",
    },
    timeout=1800,
)
body = answer.json()
if not answer.ok:
    sys.exit(f"refused ({answer.status_code}): {body['error']}")
for warning in body["warnings"]:
    print(f"warning: {warning}", file=sys.stderr)
for turn in body["speakers"]:
    print(f"{turn['timestamp'][0]:6.1f} {turn['speaker']}: {turn['text'].strip()}")
