#!/usr/bin/env bash
# Run the steps of docker/Dockerfile in a clean virtual environment and an empty folder, and send requests
# to the resulting server. No container engine is needed. MODELS=folder names the local models.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD

models=$(realpath "${MODELS:-models}")
audio=$(realpath tests/data/formats/sample1.mp3)
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$work"' EXIT

install="pip install -r /tmp/requirements.txt -c /tmp/constraints.txt"
grep -qF "$install" docker/Dockerfile || { echo "docker/Dockerfile does not say: $install" >&2; exit 1; }
"${PYTHON:-python3}" scripts/requirements_of.py server > "$work/requirements.txt"
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    -r "$work/requirements.txt" -c docker/constraints.txt
"$work/venv/bin/pip" check

# What is copied into /app, and nothing else.
grep -qxF "COPY asr_diarization ./asr_diarization" docker/Dockerfile
mkdir "$work/app"
cp -r asr_diarization "$work/app"
find "$work/app" -name __pycache__ -prune -exec rm -r {} +

cd "$work/app"
env ASR_MODEL="$models/whisper-base" DIARIZATION_MODEL="$models/diarization" HF_HUB_OFFLINE=1 \
    PYTHONDONTWRITEBYTECODE=1 PYANNOTE_METRICS_ENABLED=0 HOST=127.0.0.1 PORT=0 \
    "$work/venv/bin/python" -m asr_diarization serve 2>"$work/log" &
server=$!
for _ in $(seq 240); do
    url=$(grep -om1 'http://127[^ ]*' "$work/log") && break
    kill -0 "$server" || { cat "$work/log" >&2; exit 1; }
    sleep 0.5
done
curl -sSf "$url/health" && echo
curl -sSf "$url/predict" --data-binary "@$audio" | grep -om1 '"text":"going along slushy[^"]*'
curl -sSf "$url/ui/" | grep -o '<title>.*</title>'
curl -sSf -o "$work/wavesurfer" "$url/ui/vendor/wavesurfer/wavesurfer.esm.js"
kill "$server"
wait "$server" || true
server=

# The same environment with the package installed: its command works anywhere, beside any `config.py`.
"$work/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps "$root"
mkdir "$work/elsewhere" && cd "$work/elsewhere"
echo 'raise SystemExit("a foreign config.py was imported")' > config.py
"$work/venv/bin/asr-diarization" --version
env ASR_MODEL="$models/whisper-base" DIARIZATION_MODEL="$models/diarization" HF_HUB_OFFLINE=1 \
    PYANNOTE_METRICS_ENABLED=0 "$work/venv/bin/asr-diarization" transcribe "$audio" \
    | grep -om1 'going along slushy[^"]*'
echo "the image's steps work; $(du -sh "$work/venv" | cut -f1) installed"
