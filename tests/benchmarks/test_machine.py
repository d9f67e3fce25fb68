import sys

from machine import describe_machine, packages, slug


def test_the_machine_is_described():
    """Without the name that it has in its network."""
    about = describe_machine()
    assert about["cores"] >= 1
    assert about["machine"]
    assert set(about) == {"date", "machine", "cores", "memory_gb", "platform", "python", "commit"}


def test_packages_have_versions():
    """Those of the interpreter that is asked."""
    assert packages(sys.executable)["numpy"]


def test_a_slug_is_a_name_for_a_file():
    """Words in small letters."""
    assert slug("Intel(R) Xeon(R) @ 2.20GHz") == "intel-r-xeon-r-2-20ghz"
