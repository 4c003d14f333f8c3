"""A page is there at once: drawn one after the other in a fresh process, none imports torch before it computes."""

import json
import os
import subprocess
import sys
from pathlib import Path

from cxrlab.config import repository

PAGES = ["", *(f"pages/{file.name}" for file in sorted((repository() / "pages").glob("*.py")))]
WAITING = {"pages/1_Compare.py": {"source": "Upload"}}  # a sample would be compared at once

CODE = """
import json, sys
from streamlit.testing.v1 import AppTest
found = {}
for page, query in json.loads(sys.argv[1]):
    app = AppTest.from_file("streamlit_app.py", default_timeout=100).run()
    if page:
        app.switch_page(page)
        for name, value in query.items():
            app.query_params[name] = value
        app.run()
    assert not app.exception, app.exception
    assert app.title
    found[page] = sorted({"torch", "torchvision", "timm", "lightning"} & set(sys.modules))
print(json.dumps(found))
"""


def test_pages_are_drawn_without_torch(tiny_checkpoints: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", CODE, json.dumps([(page, WAITING.get(page, {})) for page in PAGES])],
        capture_output=True,
        text=True,
        cwd=repository(),
        env=os.environ | {"PYTHONPATH": str(repository())},
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout.splitlines()[-1]) == {page: [] for page in PAGES}
