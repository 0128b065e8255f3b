"""A reading process that crashes where it opens a file or marks its cells, and can write lists."""

from __future__ import annotations

import os

from shs_pipeline.file_reader import child, error_workbook
from shs_pipeline.files import source

if __name__ == "__main__":
    error_workbook._marked_copy = lambda *_: os.abort()  # type: ignore[assignment,misc]
    source.check_can_be_opened = lambda *_: os.abort()
    child.main()
