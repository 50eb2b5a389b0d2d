"""Snapshots of models: written whole or not at all, announced on ``models.versions``, checked before they serve.

Nothing here knows a model: a snapshot is arrays by name, lists of ids, and a manifest. Arrays are written and read by
``safetensors``, of the extra ``embed``; all else does without.
"""
