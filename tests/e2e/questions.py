"""Cases that need attention."""

from __future__ import annotations

from tests.e2e.world import World, until


def attention(world: World, reference: str) -> str:
    """Submit a case whose opening is lost, wait until it needs attention, and return its execution."""
    world.vendors.plan(reference, loses=1)
    arn = str(world.submit("grievances", reference, world.file("a paper.pdf"))["execution_arn"])
    until(lambda: "ASK#open" in world.items(f"CASE#grievances#{reference}"), what=f"{reference} asks nothing")
    status = world.status("grievances", reference)
    assert status["status"] == "needs_attention"
    (question,) = status["questions"]
    assert question["what"] == "open"
    assert f"external_case_id {reference}" in question["text"]
    assert "\n" not in question["text"]
    (event,) = until(lambda: world.events(reference))
    assert (event["detail-type"], event["detail"]["status"]) == ("Case Needs Attention", "needs_attention")
    return arn
