"""What a bug report shows."""

import lightdata as ld


def test_versions_and_devices_are_shown(capsys):
    """Each library has its version or a dash, and why CUDA is not used is told."""
    ld.show_versions()
    told = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    assert told["polars"].count(".") == 2
    assert "CPUExecutionProvider" in told["onnxruntime providers"]
    assert told["tensorflow"] == "-" or told["tensorflow"][0].isdigit()
    assert told["cuda"] == "works" or told["cuda"].startswith("not used: ")
