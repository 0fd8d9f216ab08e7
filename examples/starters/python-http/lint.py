"""The smallest linter: every Python file compiles; no tabs, no blanks at line ends, no line over 120 letters."""

import sys
from pathlib import Path


def problems(path):
    text = path.read_text(encoding="utf-8")
    try:
        compile(text, str(path), "exec")
    except SyntaxError as error:
        yield f"{path}:{error.lineno}: {error.msg}"
    for number, line in enumerate(text.splitlines(), 1):
        if "\t" in line:
            yield f"{path}:{number}: a tab"
        if line != line.rstrip():
            yield f"{path}:{number}: blanks at the end"
        if len(line) > 120:
            yield f"{path}:{number}: {len(line)} letters"


def main():
    files = sorted(Path().glob("*.py"))
    found = [problem for path in files for problem in problems(path)]
    print("\n".join(found) or f"{len(files)} files are fine")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
