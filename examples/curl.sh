#!/bin/sh
# Who said what, with curl: the recording as it is, parameters in the query string.
#   ENDPOINT_URL=https://your-endpoint HF_TOKEN=hf_... sh curl.sh call.wav
set -eu

audio=$1
case $audio in # an endpoint takes these types, letter by letter, and no others
    *.wav) type=audio/wav ;;
    *.flac) type=audio/flac ;;
    *.mp3) type=audio/mpeg ;;
    *.ogg | *.opus) type=audio/ogg ;;
    *.webm) type=audio/webm ;;
    *.m4a) type=audio/m4a ;;
    *) echo "$audio: send it as base64 in JSON, see inference_client.py" >&2; exit 2 ;;
esac

curl --silent --show-error --fail-with-body "$ENDPOINT_URL?num_speakers=2" \
    -H "Authorization: Bearer $HF_TOKEN" \
    -H "Content-Type: $type" \
    -H "X-Scale-Up-Timeout: 600" \
    --data-binary "@$audio"
