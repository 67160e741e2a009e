"""The engine: one OS process a model, the only importer of llama_cpp. It has no policy.

It does what abi/lease.py says: `python -m llmsh.engine` with the descriptors that the driver hands it.
"""
