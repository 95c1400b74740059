"""The recipes that the doctests leave out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.doctesting import record_cartpole

COOKBOOK = (Path(__file__).parents[1] / "docs" / "cookbook.md").read_text("utf-8")


def test_the_recipe_for_pytorch_runs_from_top_to_bottom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    record_cartpole(tmp_path / "cartpole.h5")
    monkeypatch.chdir(tmp_path)
    recipe = COOKBOOK.split("\n## PyTorch\n")[1].split("\n## ")[0]
    namespace: dict[str, object] = {}
    for block in re.findall(r"^```python\n(.*?)^```", recipe, re.MULTILINE | re.DOTALL):
        exec(compile(block, "cookbook.md", "exec"), namespace)
    assert capsys.readouterr().out.splitlines() == ["torch.Size([16, 4]) torch.Size([16])"] * 2 + [
        "torch.Size([12, 4]) torch.Size([12])"
    ]
    assert len(namespace["third"]["actions"]) == 8
