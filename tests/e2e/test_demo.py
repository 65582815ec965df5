"""The main job: the demo posts the first cohort and the report says what became of it."""

import json
import random
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.e2e.conftest import EXAMPLE, ROOT, environment, kill_service, on_this_machine, sampan

pytestmark = [pytest.mark.xdist_group("demo"), on_this_machine]
STORY = {
    "enrolled": 9,
    "completed": 9,
    "certified": 9,
    "nominated": 2,
    "people": 9,
    "places": 9,
    "assessed": 9,
    "passed": 9,
}


def demo(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        sampan("demo", *arguments),
        cwd=ROOT,
        env=environment(),
        text=True,
        capture_output=True,
        timeout=110,
        check=False,
    )


@pytest.fixture(scope="module")
def out_of_order(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """The demo of the example, shuffled, doubled and with lines that are nothing, run once."""
    lines = EXAMPLE.read_text().splitlines() * 2
    random.Random(20250331).shuffle(lines)
    odd = [{"type": []}, {"type": "event.voided.v1", "data": {"type": {}}}, {"data": {"parties": 5}}]
    odd.append({"data": {"parties": [7, {"office": [], "role": []}]}})
    bad = tmp_path_factory.mktemp("events") / "bad.ndjson"
    bad.write_text(
        "\n".join([lines[0], "not json", '{"id": NaN}', *lines[1:], '{"specversion": "1.0"}', *map(json.dumps, odd)])
    )
    return demo("--once", "--json", "--events", bad)


def test_given_shuffled_doubled_and_bad_lines_when_the_demo_runs_once_then_the_report_is_right_and_the_bad_are_named(
    out_of_order: subprocess.CompletedProcess[str],
) -> None:
    assert out_of_order.returncode == 0, out_of_order.stderr
    assert "bad.ndjson:2: rejected, invalid_json" in out_of_order.stderr
    assert "bad.ndjson:3: rejected, not_a_number" in out_of_order.stderr
    assert "Traceback" not in out_of_order.stderr
    assert out_of_order.stderr.startswith("Starting the broker, the database and three services")
    report = json.loads(out_of_order.stdout)
    assert report["by"] == ["trade", "role", "sex"]
    assert STORY.items() <= report["totals"].items()
    women = [row for row in report["rows"] if row["sex"] == "F"]
    assert sum(row["enrolled"] for row in women) == 3
    assert sum(row["certified"] for row in women) == 3
    assert {
        role: sum(row["enrolled"] for row in report["rows"] if row["role"] == role) for role in ("student", "teacher")
    } == {
        "student": 6,
        "teacher": 3,
    }
    assert {row["trade"] for row in report["rows"]} == {"electrical-installation", "information-network-cabling", "_Z"}


@pytest.mark.long
def test_given_the_example_when_the_demo_runs_once_then_standard_output_is_the_same_report_and_nothing_else(
    out_of_order: subprocess.CompletedProcess[str],
) -> None:
    ended = demo("--once", "--json")
    assert ended.returncode == 0, ended.stderr
    first, second = json.loads(ended.stdout), json.loads(out_of_order.stdout)
    for report in (first, second):
        del report["position"]  # other batches make other numbers of facts
    assert second == first


@pytest.mark.long
def test_given_the_demo_is_posting_when_a_service_is_killed_then_it_is_brought_back_and_interrupted_it_leaves_nothing() -> (
    None
):
    process = subprocess.Popen(
        sampan("demo"), cwd=ROOT, env=environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert "are posted by their offices" in process.stderr.readline()
    kill_service(process, "enrolment")
    shown = []
    for line in process.stdout:  # the report comes, then it stays up
        shown.append(line)
        if "nominated." in line:
            break
    assert "nominated." in "".join(shown), process.communicate()
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 5

    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)

    assert "enrolment ended unexpectedly: it was killed by SIGKILL" in told
    assert "9 enrolled, 3 of them women; 9 completed; 9 certified; 2 nominated." in "".join(shown)
    _, alive = psutil.wait_procs(children, timeout=5)
    assert not alive, alive
    assert process.returncode == 0


def test_given_no_such_file_when_the_demo_is_asked_for_it_then_one_sentence_says_so() -> None:
    ended = demo("--events", "nowhere.ndjson")

    assert ended.returncode == 1
    assert ended.stderr.strip() == "sampan: nowhere.ndjson cannot be read: No such file or directory."
