"""The command line as `python -m asr_diarization`."""

import sys

from asr_diarization.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
