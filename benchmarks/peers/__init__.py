"""The char-LM round in other frameworks, one script each, as subprocesses."""
