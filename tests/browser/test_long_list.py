"""10,000 jobs in the list."""

from playwright.sync_api import Page, expect

from tests.browser.support import OpenPage, expect_state, live, mark, row
from tests.support.stack import Stack

PAGE, LARGEST_PAGE = 50, 500

#: Takes 10,000 jobs through the ledger's own moves, some hundred in a transaction, so that nobody waits for long. Each
#: hundredth fails.
MAKE_JOBS = """
from jobs.ledger import moves
from jobs.ledger.database import ledger
from jobs.ledger.records import NewJob, Outcome

for start in range(1, 10_001, 250):
    with ledger().writing() as connection:
        for number in range(start, start + 250):
            new = NewJob(type="add", queue="arithmetic", params={"a": number, "b": 0})
            moves.add(connection, new)
            attempt = moves.claim(connection, [new.id], "somebody/1")[new.id].attempt
            if number % 100:
                moves.succeed(connection, Outcome(job_id=new.id, attempt=attempt, result=number))
            else:
                moves.fail(connection, new.id, f"Number {number} failed.", attempt=attempt)
"""


def test_10_000_jobs(stack: Stack, page: Page, open_page: OpenPage) -> None:
    page.goto("/flask")
    live(page)
    unloaded = mark(page)
    large = open_page()
    large.goto(f"/flask?limit={LARGEST_PAGE}")
    live(large)
    stack.docker("exec", stack.celery, "python", "-c", MAKE_JOBS, timeout=120)

    # The open page, to which that happened, shows the newest of them, and goes on to show what comes.
    rows = page.locator("#jobs tbody tr")
    expect(rows.first).to_contain_text("Number 10000 failed.")
    expect(rows).to_have_count(PAGE)
    newest = stack.submit("divide", a=1, b=1)
    expect_state(row(page, newest), "SUCCESS")
    expect(rows.first).to_have_id(f"job-{newest}")
    expect(rows).to_have_count(PAGE)
    assert unloaded()
    # The same on a page of more rows than the server sends.
    expect(row(large, newest)).to_be_visible()
    expect(large.locator("#jobs tbody tr")).to_have_count(LARGEST_PAGE)

    # "Older" of the page that is open leads to what comes after its last row.
    last = positions(page)[-1]
    page.get_by_role("link", name="Older").click()
    expect(rows.first).to_have_attribute("data-seq", str(last - 1))
    page.get_by_role("link", name="Newest").click()

    # Older pages follow without a gap and without a repetition.
    expect(rows.first).to_have_id(f"job-{newest}")
    first = positions(page)
    for _ in range(3):
        page.get_by_role("link", name="Older").click()
        expect(rows.first).to_have_attribute("data-seq", str(first[-1] - 1))
        first += positions(page)
    assert first == list(range(first[0], first[0] - 4 * PAGE, -1))

    # A page of older jobs has no place for a new one.
    live(page)
    running = stack.submit_heavy(60)
    expect(page.locator("[data-count=Running]")).to_have_text("1")
    assert positions(page) == first[-PAGE:]
    page.get_by_role("link", name="Newest").click()
    expect(rows.first).to_have_id(f"job-{running}")
    stack.http.delete(f"/flask/tasks/{running}")

    # Filters find the few among the many.
    page.goto("/flask?status=FAILURE&task_type=add")
    failed = positions(page)
    expect(rows.first).to_contain_text("Number 10000 failed.")
    expect(rows.last).to_contain_text("Number 5100 failed.")
    page.get_by_role("link", name="Older").click()
    expect(rows.first).to_contain_text("Number 5000 failed.")
    assert positions(page)[0] == failed[-1] - 100


def positions(page: Page) -> list[int]:
    """Return where the jobs that are shown stand among all, from first to last."""
    return [
        int(position)
        for position in page.locator("#jobs tbody tr").evaluate_all("rows => rows.map(row => row.dataset.seq)")
    ]
