"""Every responder must give these answers; they are data, so that a batch or a kernel responder can be held to them."""

import json
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from ntp_usg.core.base.instants import MonoNs, WallNs
from ntp_usg.core.base.snapshots import Leap, ServingState
from ntp_usg.core.server.policy import ServerPolicy
from ntp_usg.core.server.responder import Responder

FILE = json.loads(Path(__file__).with_name("packets.json").read_text())
VECTORS: list[dict[str, Any]] = FILE["vectors"]


def serving_state(name: str) -> ServingState:
    fields = FILE["states"][name]
    return ServingState(
        **fields | {"leap": Leap(fields["leap"]), "reference_id": bytes.fromhex(fields["reference_id"])},
    )


def play(responder: Responder, vector: dict[str, Any], step: dict[str, Any]) -> dict[str, str]:
    """What the responder makes of one step, in the words of the file."""
    after = step.get("after_ns", 0)
    receive_time = vector.get("receive_time", FILE["receive_time"]) + after
    reply = responder.respond(
        bytes.fromhex(step["request"]),
        ip_address(step.get("client", "192.0.2.1")).packed,
        WallNs(receive_time),
        serving_state(step.get("state", "gps")),
        MonoNs(FILE["now"] + after),
    )
    result = {"outcome": str(reply.verdict.outcome), "reason": str(reply.verdict.reason)}
    if reply.packet is not None:
        result["answer"] = reply.depart(WallNs(receive_time + FILE["turnaround_ns"])).hex()
    return result


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_the_responder_answers_as_the_vectors_say(vector: dict[str, Any]) -> None:
    responder = Responder(ServerPolicy(**FILE["policies"][vector["policy"]]))
    for step in vector["steps"]:
        expected = {key: step[key].replace(" ", "") for key in ("outcome", "reason", "answer") if key in step}
        assert play(responder, vector, step) == expected


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
