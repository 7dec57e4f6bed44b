import json
from dataclasses import asdict
from ipaddress import ip_address

import pytest

from ntp_usg.core.base.verdicts import Reason
from ntp_usg.core.server.access import Access
from ntp_usg.core.server.policy import ServerPolicy


@pytest.mark.parametrize(
    ("allow", "expected"),
    [(None, None), ((), Reason.NOT_ALLOWED), (("192.0.2.0/24",), None), (("10.0.0.0/8",), "not_allowed")],
)
def test_a_policy_means_the_same_after_its_way_to_a_worker(
    allow: tuple[str, ...] | None, expected: Reason | None
) -> None:
    sent = ServerPolicy(allow=allow, deny=("203.0.113.0/24",))
    received = ServerPolicy(**json.loads(json.dumps(asdict(sent))))
    assert Access(received).refusal(ip_address("192.0.2.1").packed, monitoring=False) == expected
    assert Access(received).refusal(ip_address("203.0.113.1").packed, monitoring=False) == Reason.ACCESS_DENIED
