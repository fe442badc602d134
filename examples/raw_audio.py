"""Who said what, with requests: the recording as it is, parameters in the query string.

ENDPOINT_URL=https://your-endpoint HF_TOKEN=hf_... python raw_audio.py call.wav
"""

import os
import sys
from pathlib import Path

import requests

TYPES = {  # an endpoint takes these, letter by letter, and no others
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".mp3": "audio/mpeg",
    ".m4a": "audio/m4a",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".webm": "audio/webm",
}

audio = Path(sys.argv[1])
if audio.suffix.lower() not in TYPES:
    sys.exit(f"{audio}: send it as base64 in JSON, see inference_client.py")
answer = requests.post(
    os.environ["ENDPOINT_URL"],
    params={"num_speakers": 2, "language": "en"},
    data=audio.read_bytes(),
    headers={
        "Authorization": f"Bearer {os.environ.get('HF_TOKEN', '')}",
        "Content-Type": TYPES[audio.suffix.lower()],
        "X-Scale-Up-Timeout": "600",
    },
    timeout=1800,
)
if not answer.ok:  # while an endpoint starts, the proxy before it answers, in HTML
    is_json = "json" in answer.headers.get("Content-Type", "")
    reason = answer.json()["error"] if is_json else answer.text
    sys.exit(f"refused ({answer.status_code}): {reason}")
body = answer.json()
for warning in body["warnings"]:
    print(f"warning: {warning}", file=sys.stderr)
for turn in body["speakers"]:
    print(f"{turn['timestamp'][0]:6.1f} {turn['speaker']}: {turn['text'].strip()}")
