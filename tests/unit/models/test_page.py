from connectycube.models import Page


def test_a_page_is_read_like_a_sequence():
    page = Page(items=("a", "b", "c"))
    assert list(page) == ["a", "b", "c"]
    assert (len(page), page[0], page[-1]) == (3, "a", "c")


def test_an_empty_page_is_false():
    assert not Page()
    assert Page(items=(0,))
