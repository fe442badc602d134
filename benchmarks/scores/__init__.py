"""Scores: error rates of words, speakers and times."""
