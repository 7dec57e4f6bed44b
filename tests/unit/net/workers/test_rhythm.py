from ntp_usg.net.workers.rhythm import ALL_ROUND, BUSY_RATE, CALM_RATE, GATHERED, LONGEST_REST, LONGEST_WAIT, Rhythm


def run(rhythm: Rhythm, rate: float, duration: float, start: int) -> tuple[int, float]:
    """Look each time the worker would; the time afterwards and the last rest."""
    now, carried, rest = start, 0.0, 0.0
    while now < start + duration * 1e9:
        step = 20e-6 + (rest or (1 / rate if rhythm.patience else 0.0))
        now += round(step * 1e9)
        carried += rate * step
        served, carried = int(carried), carried % 1
        rest = rhythm.beat(served, now)
    return now, rest


def test_while_few_ask_every_request_wakes_the_worker():
    rhythm = Rhythm(0)
    _, rest = run(rhythm, 1_000, 0.1, 0)
    assert (rest, rhythm.patience) == (0.0, LONGEST_WAIT)


def test_while_many_ask_they_are_let_gather_for_a_bounded_time():
    rhythm = Rhythm(0)
    _, rest = run(rhythm, 20_000, 0.1, 0)
    assert 0 < rest <= LONGEST_REST
    assert rhythm.patience == 0


def test_after_a_flood_the_worker_waits_to_be_woken_again():
    rhythm = Rhythm(0)
    now, _ = run(rhythm, 100_000, 0.05, 0)
    for step in range(1000):
        if rhythm.patience:
            break
        rhythm.beat(0, now + (step + 1) * 200_000)
    assert step < 100
    assert rhythm.patience == LONGEST_WAIT


def test_with_a_full_queue_there_is_no_rest():
    rhythm = Rhythm(0)
    run(rhythm, 200_000, 0.05, 0)
    assert rhythm.beat(GATHERED, 10**9) == 0.0


def test_between_busy_and_calm_nothing_changes():
    rhythm, now, busy = Rhythm(0), 0, []
    for rate in ((BUSY_RATE + CALM_RATE) / 2, 2 * BUSY_RATE, (BUSY_RATE + CALM_RATE) / 2, CALM_RATE / 2):
        now, _ = run(rhythm, rate, 0.2, now)
        busy.append(rhythm.busy)
    assert busy == [False, True, True, False]


def test_control_is_heard_in_a_flood_too():
    rhythm, listens = Rhythm(0), []
    now, _ = run(rhythm, 200_000, 0.05, 0)
    for step in range(4 * ALL_ROUND):
        rhythm.beat(GATHERED, now + (step + 1) * 100_000)
        listens.append(rhythm.listens)
    assert rhythm.busy
    assert listens.count(True) == 4
