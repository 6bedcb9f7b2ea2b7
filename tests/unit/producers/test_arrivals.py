"""When a file in a watched folder is whole, with clocks of the test's."""

from predictq_producers.watching.arrivals import Arrivals, FileState

NOW = 1_796_051_045.0


class Folder:
    """What lies there, and the time."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.files: dict[str, FileState] = {}
        self.temporary: set[int] = set()
        self.arrivals = Arrivals(2.0, lambda: NOW + self.passed, lambda: self.passed)

    def write(self, name: str, size: int, *, inode: int = 7, age: float = 0.0) -> None:
        mtime = NOW + self.passed - age
        self.files[name] = FileState(size, int(mtime * 1e9), inode)

    def whole(self, after: float = 0.0) -> list[str]:
        self.passed += after
        return self.arrivals.whole(self.files, self.temporary)


def test_a_file_that_grows_is_whole_when_it_has_stopped_for_long_enough() -> None:
    folder = Folder()
    for size in range(10):
        folder.write("rows.csv", size)
        assert folder.whole(after=1.5) == []
    assert folder.whole(after=1.9) == []
    assert folder.whole(after=0.2) == ["rows.csv"]


def test_what_lay_there_or_was_moved_there_is_whole_at_once() -> None:
    folder = Folder()
    folder.write("old.csv", 5, age=3.0)
    folder.write("new.csv", 5, age=1.0)
    assert folder.whole() == ["old.csv"]


def test_what_was_written_under_a_temporary_name_is_whole_when_it_is_renamed() -> None:
    folder = Folder()
    folder.temporary.add(7)
    assert folder.whole() == []
    folder.temporary.clear()
    folder.write("rows.csv", 5, inode=7)
    folder.write("other.csv", 5, inode=8)
    assert folder.whole(after=0.1) == ["rows.csv"]


def test_one_that_is_replaced_is_another_one() -> None:
    folder = Folder()
    folder.write("rows.csv", 5, inode=1)
    folder.whole()
    folder.write("rows.csv", 5, inode=2)
    assert folder.whole(after=1.9) == []
    assert folder.whole(after=1.9) == []
    assert folder.whole(after=0.2) == ["rows.csv"]


def test_a_time_of_writing_in_the_future_holds_no_file_back() -> None:
    folder = Folder()
    folder.write("rows.csv", 5, age=-10_000.0)
    assert folder.whole() == []
    assert folder.whole(after=2.0) == ["rows.csv"]
