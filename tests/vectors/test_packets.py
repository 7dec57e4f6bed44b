"""Every responder must give these answers; they are data, so that a batch or a kernel responder can be held to them."""

import json
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ntp_usg.core.base.instants import MonoNs, WallNs
from ntp_usg.core.base.snapshots import Leap, ServingState
from ntp_usg.core.base.verdicts import Outcome
from ntp_usg.core.server.access_map import UNDECIDED
from ntp_usg.core.server.batch import ENDS, BatchResponder, Requests
from ntp_usg.core.server.policy import ServerPolicy
from ntp_usg.core.server.responder import Responder
from ntp_usg.core.wire.timestamps import to_ntp

FILE = json.loads(Path(__file__).with_name("packets.json").read_text())
VECTORS: list[dict[str, Any]] = FILE["vectors"]


def serving_state(name: str) -> ServingState:
    fields = FILE["states"][name]
    return ServingState(
        **fields | {"leap": Leap(fields["leap"]), "reference_id": bytes.fromhex(fields["reference_id"])},
    )


class InBatches:
    """The batch responder, with the responder behind it for what it leaves undecided; each batch is one datagram."""

    def __init__(self, policy: ServerPolicy) -> None:
        self.responder = Responder(policy)
        self.batches = BatchResponder(self.responder)

    def play(
        self, data: bytes, client: bytes, receive_time: WallNs, state: ServingState, now: MonoNs
    ) -> dict[str, str]:
        heads = np.zeros((1, 48), np.uint8)
        heads[0, : len(data)] = memoryview(data[:48])
        high, low = divmod(int.from_bytes(client, "big"), 2**64)
        requests = Requests(
            heads,
            lengths=np.array([len(data)], np.uint32),
            address_high=np.array([high], np.uint64) if len(client) == 16 else None,
            address_low=np.array([low], np.uint64),
            receive_times=np.array([receive_time]),
        )
        answers = self.batches.respond(requests, state, now)
        if answers.codes[0] == UNDECIDED:
            return alone(self.responder, data, client, receive_time, state, now)
        end = ENDS[answers.codes[0]]
        result = {"outcome": str(end.outcome), "reason": str(end.reason)}
        if end.outcome is Outcome.ANSWERED:
            self.batches.depart(answers, to_ntp(WallNs(receive_time + FILE["turnaround_ns"])), 0)
            result["answer"] = heads.tobytes().hex()
        return result


def alone(
    responder: Responder, data: bytes, client: bytes, receive_time: WallNs, state: ServingState, now: MonoNs
) -> dict[str, str]:
    """What the responder makes of one datagram, in the words of the file."""
    reply = responder.respond(data, client, receive_time, state, now)
    result = {"outcome": str(reply.verdict.outcome), "reason": str(reply.verdict.reason)}
    if reply.packet is not None:
        result["answer"] = reply.depart(WallNs(receive_time + FILE["turnaround_ns"])).hex()
    return result


def arguments(vector: dict[str, Any], step: dict[str, Any]) -> tuple[bytes, bytes, WallNs, ServingState, MonoNs]:
    after = step.get("after_ns", 0)
    return (
        bytes.fromhex(step["request"]),
        ip_address(step.get("client", "192.0.2.1")).packed,
        WallNs(vector.get("receive_time", FILE["receive_time"]) + after),
        serving_state(step.get("state", "gps")),
        MonoNs(FILE["now"] + after),
    )


def expected(step: dict[str, Any]) -> dict[str, str]:
    return {key: step[key].replace(" ", "") for key in ("outcome", "reason", "answer") if key in step}


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_the_responder_answers_as_the_vectors_say(vector: dict[str, Any]) -> None:
    responder = Responder(ServerPolicy(**FILE["policies"][vector["policy"]]))
    for step in vector["steps"]:
        assert alone(responder, *arguments(vector, step)) == expected(step)


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_the_batch_responder_answers_as_the_vectors_say(vector: dict[str, Any]) -> None:
    responder = InBatches(ServerPolicy(**FILE["policies"][vector["policy"]]))
    for step in vector["steps"]:
        assert responder.play(*arguments(vector, step)) == expected(step)


def test_an_answer_is_never_longer_than_its_request() -> None:
    steps = [step for vector in VECTORS for step in vector["steps"] if "answer" in step]
    assert steps
    for step in steps:
        assert len(bytes.fromhex(step["answer"])) <= len(bytes.fromhex(step["request"]))


def test_the_vectors_know_every_end_that_a_request_can_have() -> None:
    assert {f"{step['outcome']}/{step['reason']}" for vector in VECTORS for step in vector["steps"]} == {
        "answered/basic",
        "answered/interleaved",
        "answered/rate_kiss",
        "handed_up/not_for_worker",
        "dropped/too_short",
        "dropped/too_long",
        "dropped/bad_version",
        "dropped/bad_mode",
        "dropped/bad_format",
        "dropped/bad_source",
        "dropped/unsupported_authentication",
        "dropped/access_denied",
        "dropped/not_allowed",
        "dropped/monitor_denied",
        "dropped/rate_limited",
    }
