"""`python -m asr_diarization`."""

import sys

from asr_diarization.cli import main

if __name__ == "__main__":
    sys.exit(main())
