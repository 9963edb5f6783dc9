"""The nodes that prove the conformance suite.

One correct Gate node written from the specification alone (`node`), the same node with one fault each
(`faults`), with the other permitted choice wherever the specification leaves one (`choices`), and nodes
that do nothing sensible at all (`nulls`). They share no code with the reference node or with the suite:
plain `json` and `asyncio`.
"""

from __future__ import annotations
