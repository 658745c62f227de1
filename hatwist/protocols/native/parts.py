"""What of a group outlasts its claims, put together for the phases that come and go."""

from __future__ import annotations

from typing import NamedTuple

from hatwist.core.backoff import Backoff
from hatwist.core.standing import Standing
from hatwist.core.terms import Terms
from hatwist.protocols.native.answers import Answers
from hatwist.protocols.native.arbiter import Arbiter
from hatwist.protocols.native.candidate import Candidate
from hatwist.protocols.native.eligibility import Eligibility
from hatwist.protocols.native.evidence import Evidence
from hatwist.protocols.native.succession import Succession


class ElectionParts(NamedTuple):
    """Each of them is owned by one L{Election}; what a phase is given at its beginning."""

    me: Candidate
    standing: Standing
    terms: Terms
    backoff: Backoff
    evidence: Evidence
    arbiter: Arbiter
    eligibility: Eligibility
    succession: Succession
    answers: Answers
