"""EMP-005: holders of posts are not more than the posts."""

from tests.rules.builder import found

GOOD = {"public_posts": 5, "public_post_holders": 5}


def test_pass():
    assert found("EMP-005", "EMP01", GOOD) == []


def test_fail():
    (finding,) = found("EMP-005", "EMP01", GOOD, GOOD | {"public_post_holders": 6})
    assert (finding.row_no, finding.field) == (2, "public_post_holders")
    assert (finding.expected, finding.difference) == ("5", "1")


def test_not_evaluable():
    assert found("EMP-005", "EMP01", GOOD | {"public_post_holders": 6} | {"public_posts": None}) == []
