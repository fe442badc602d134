"""Print the path of the sample recording in pyannote's wheel, without importing pyannote."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from asr_diarization.deploy.sample import sample_recording
from asr_diarization.errors import DeployError

try:
    print(sample_recording())
except DeployError as error:
    sys.exit(str(error))
