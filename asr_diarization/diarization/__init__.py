"""Who speaks when: pyannote's pipelines, made faster, and voices that are known."""
