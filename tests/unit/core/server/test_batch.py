"""The batch responder apart from what it must do like the responder: tests/property/test_batch.py has that."""

import numpy as np

from ntp_usg.core.base.instants import MonoNs
from ntp_usg.core.base.snapshots import Leap, ServingState
from ntp_usg.core.server.batch import BatchResponder, Requests
from ntp_usg.core.server.policy import ServerPolicy
from ntp_usg.core.server.responder import Responder

GOOD = ServingState(leap=Leap.NONE, stratum=1, expires_at=MonoNs(2**62))


def requests(count: int) -> Requests:
    heads = np.zeros((count, 48), np.uint8)
    heads[:, 0] = 0x23
    addresses = np.arange(count, dtype=np.uint64) | np.uint64(0xC0000200)
    return Requests(heads, np.full(count, 48, np.uint32), None, addresses, np.full(count, 10**18))


def test_answers_leave_one_after_the_other():
    batch, asked = BatchResponder(Responder(ServerPolicy())), requests(5)
    answers = batch.respond(asked, GOOD, MonoNs(1))
    batch.depart(answers, first=1_000_000, step=10_001)
    transmitted = asked.heads.view(">u8")[:, 5].tolist()
    assert transmitted == [(1_000_000 + 10_001 * row) & ~1 for row in range(5)]


def test_what_is_remembered_for_interleaved_answers_is_when_each_left():
    responder = Responder(ServerPolicy(interleaved=True))
    batch, asked = BatchResponder(responder), requests(3)
    answers = batch.respond(asked, GOOD, MonoNs(1))
    batch.depart(answers, first=500, step=10)
    assert responder.clients.columns["transmit_timestamp"][answers.places].tolist() == [500, 510, 520]
    assert answers.unstamped.tolist() == [0, 1, 2]
