"""Tables in the kernel that are larger than one batch of reading."""

from ntp_usg.core.server.policy import ServerPolicy
from ntp_usg.net.xdp.rules import CLIENT


def test_many_clients_are_listed_in_several_batches(open_path):
    path = open_path(ServerPolicy(max_clients=30_000))
    table = path.rules.clients
    addresses = [bytes(10) + b"\xff\xff\x0a" + number.to_bytes(3, "big") for number in range(10_000)]
    table.update_many([(each, CLIENT.pack(0, 0, 1, 1, 1)) for each in addresses])
    listed = {record.address for record in path.client_table().records()}
    assert listed == {address[12:] for address in addresses}
    assert len(table) == len(dict(table.items())) == 10_000
