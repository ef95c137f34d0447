"""What the command line makes is its user's alone."""

import subprocess
import sys
from pathlib import Path

from lakehouse.private import is_private


def test_a_command_makes_private_folders(tmp_path: Path) -> None:
    code = "import sys\nfrom commands.app import main\nsys.argv[1:] = ['status']\n"
    code += (
        f"try:\n    main()\nfinally:\n    from pathlib import Path\n    Path({str(tmp_path / 'a')!r}).mkdir()"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=False, env={"LAKEHOUSE_WAREHOUSE": str(tmp_path / "w")}
    )
    assert is_private(tmp_path / "a")


def test_a_folder_that_others_may_enter_is_not(tmp_path: Path) -> None:
    tmp_path.chmod(0o701)
    assert not is_private(tmp_path)
    assert is_private(tmp_path / "not there")
