"""Every object of a case is tagged when it is written: the bucket's lifecycle rules know it by that."""

from __future__ import annotations

import pytest

from tests.conftest import BUCKET, Cloud

LARGE = [b"x" * (1 << 20)] * 9


def tags(cloud: Cloud, key: str) -> dict[str, str]:
    """Return an object's tags."""
    found = cloud.session.client("s3").get_object_tagging(Bucket=BUCKET, Key=key)["TagSet"]
    return {each["Key"]: each["Value"] for each in found}


@pytest.mark.parametrize("chunks", [[b"small"], LARGE], ids=["at once", "in parts"])
def test_an_artifact_is_tagged(cloud: Cloud, chunks: list[bytes]) -> None:
    """Streamed at once or in parts."""
    key = "cases/invoices/INV-1/artifacts/out.bin"
    cloud.app.objects.stream(key, iter(chunks), "application/octet-stream")
    assert tags(cloud, key) == {"dossier": "artifacts"}


def test_a_copied_document_has_only_our_tag(cloud: Cloud) -> None:
    """The caller's own tags stay with the caller's object."""
    s3 = cloud.session.client("s3")
    s3.put_object(Bucket=BUCKET, Key="staging/a.pdf", Body=b"%PDF", Tagging="team=claims")
    facts = cloud.app.objects.inspect(f"s3://{BUCKET}/staging/a.pdf")
    key = "cases/invoices/INV-1/documents/a.pdf"
    cloud.app.objects.copy(f"s3://{BUCKET}/staging/a.pdf", key, facts, "application/pdf")
    assert tags(cloud, key) == {"dossier": "documents"}


def test_only_files_of_a_case_are_tagged(cloud: Cloud) -> None:
    """Objects outside of cases have their own prefix."""
    for key, kind in (
        ("cases/invoices/INV-1/vendor/case.json", {"dossier": "raw"}),
        ("cases/invoices/INV-1/result.json", {"dossier": "results"}),
        ("inbox-refused/invoices/a.pdf.txt", {}),
    ):
        cloud.app.objects.write(key, b"{}")
        assert tags(cloud, key) == kind
