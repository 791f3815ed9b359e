"""Golden files with one fault each, and good files in unusual formats, with the telecom columns.

Every file starts from the same few good rows. README.md in their folder has the expected answers.
"""

import gzip
import json
import re
from dataclasses import dataclass
from pathlib import Path

HEADER = "customerID,tenure,MonthlyCharges,TotalCharges,Contract"
ROWS = [
    "0001-AAAAA,1,29.85,29.85,Month-to-month",
    "0002-BBBBB,34,56.95,1889.5,One year",
    "0003-CCCCC,2,53.85,108.15,Month-to-month",
    "0004-DDDDD,45,42.3,1840.75,One year",
    "0005-EEEEE,70,89.1,6200.4,Two year",
    "0006-FFFFF,8,99.65,820.5,Month-to-month",
]
ROW_BYTES_MAX = 1 << 20  # the default limit of a row
COLUMNS_MAX = 4_096


@dataclass(frozen=True)
class BadFile:
    """expected: the expected answer. scored and rejected count rows; both 0 if the whole file is refused."""

    name: str
    content: bytes
    about: str
    expected: str
    scored: int = 0
    rejected: int = 0


def text(*rows: str, header: str = HEADER, end: str = "\n") -> bytes:
    return "".join(line + end for line in (header, *rows)).encode()


def with_row(row: str, at: int = 2) -> bytes:
    """The good rows with one more in front of the row at that position (0 is the first)."""
    return text(*ROWS[:at], row, *ROWS[at:])


GOOD = len(ROWS)


def one_reject(name: str, row: str, about: str, code: str) -> BadFile:
    return BadFile(name, with_row(row), f"row 3: {about}", f"{code} on row 3 (line 4)", GOOD, 1)


def one_warning(name: str, row: str, about: str, code: str) -> BadFile:
    return BadFile(name, with_row(row), f"row 3: {about}", f"no error; warning {code}", GOOD + 1)


def header_faults() -> list[BadFile]:
    """Files whose header, or the lack of one, refuses them."""
    wide = ",".join([HEADER, *(f"extra_{i}" for i in range(COLUMNS_MAX))])
    return [
        BadFile("empty.csv", b"", "no bytes", "1005"),
        BadFile("blank_lines.csv", b"\n\n\n", "line ends only", "1005"),
        BadFile("header_only.csv", text(), "a header without rows", "1005"),
        BadFile(
            "missing_column.csv",
            text(*(r.rsplit(",", 1)[0] for r in ROWS), header=HEADER.rsplit(",", 1)[0]),
            "no Contract",
            "1004 naming Contract",
        ),
        BadFile(
            "misspelt_column.csv",
            text(*ROWS, header=HEADER.replace("tenure", "tenur")),
            "`tenur` for tenure",
            "1004 naming tenure, closest `tenur`",
        ),
        BadFile(
            "no_header.csv", text(*ROWS[1:], header=ROWS[0]), "data where the header should be", "1004 naming all five"
        ),
        BadFile(
            "duplicate_column.csv",
            text(*(r + ",12" for r in ROWS), header=HEADER + ",Tenure"),
            "tenure and Tenure",
            "1006 naming tenure",
        ),
        BadFile(
            "header_unclosed_quote.csv",
            text(*ROWS, header='"' + HEADER),
            "a quote opens in the header and is never closed",
            "1009, line 1",
        ),
        BadFile("too_many_columns.csv", text(*ROWS, header=wide), f"{COLUMNS_MAX + 5:,} columns in the header", "1008"),
    ]


def framing_faults() -> list[BadFile]:
    """Files that cannot be cut into rows, or are not text."""
    packed = gzip.compress(text(*ROWS), mtime=0)
    return [
        BadFile(
            "unclosed_quote.csv",
            with_row('"0099-XXXXX,5,20.5,102.5,One year'),
            "row 3: a quote opens and is never closed",
            "1009, line 4 (where it opened)",
        ),
        BadFile(
            "utf16_le.csv",
            b"\xff\xfe" + text(*ROWS).decode().encode("utf-16-le"),
            "UTF-16 with its mark, as Excel's Unicode text",
            "1007, or scored if transcoded",
        ),
        BadFile(
            "utf16_be.csv",
            b"\xfe\xff" + text(*ROWS).decode().encode("utf-16-be"),
            "UTF-16, big end first",
            "1007, or scored if transcoded",
        ),
        BadFile(
            "spreadsheet.csv",
            b"PK\x03\x04" + bytes(range(256)) * 4,
            "an .xlsx under a .csv name (first bytes of a ZIP)",
            "1007",
        ),
        BadFile("damaged.csv.gz", packed[: len(packed) // 2], "gzip cut in the middle", "1012"),
        BadFile("damaged_checksum.csv.gz", packed[:-8] + bytes(4) + packed[-4:], "gzip with a wrong checksum", "1012"),
    ]


def rows_rejected() -> list[BadFile]:
    """Files that are scored but for one row."""
    return [
        one_reject("too_few_fields.csv", "0099-XXXXX,5,20.5", "three fields of five", "1601"),
        one_reject("too_many_fields.csv", "0099-XXXXX,5,20.5,102.5,One year,more", "six fields of five", "1601"),
        one_reject("number_text.csv", "0099-XXXXX,five,20.5,102.5,One year", "`five` months", "1602"),
        one_reject("number_decimal_comma.csv", '0099-XXXXX,5,"20,5",102.5,One year', "a decimal comma among points", "1612"),
        one_reject("stray_quote.csv", '0099-XXXXX,5,20"5,102.5,One year', "a quote inside an unquoted cell", "1613"),
        one_reject("text_after_quote.csv", '"0099"-XXXXX,5,20.5,102.5,One year', "text behind a closing quote", "1613"),
        one_reject("number_hexadecimal.csv", "0099-XXXXX,0x1p4,20.5,102.5,One year", "hexadecimal", "1602"),
        one_reject("number_underscore.csv", "0099-XXXXX,5,20.5,1_025,One year", "an underscore", "1602"),
        one_reject("number_infinite.csv", "0099-XXXXX,5,inf,102.5,One year", "`inf`", "1603"),
        one_reject("number_overflow.csv", "0099-XXXXX,5,1e400,102.5,One year", "1e400", "1603"),
        one_reject("empty_id.csv", ",5,20.5,102.5,One year", "no customer id", "1604"),
        one_reject("negative.csv", "0099-XXXXX,-5,20.5,102.5,One year", "tenure -5, below allowed_min", "1610"),
        BadFile(
            "invalid_utf8.csv",
            with_row("0099-XXXXX,5,20.5,102.5,One y?ear").replace(b"?", b"\xe9"),
            "row 3: Latin-1 é in a cell",
            "1606 on row 3 (line 4)",
            GOOD,
            1,
        ),
        BadFile(
            "nul_byte.csv",
            with_row("0099-X\0XXX,5,20.5,102.5,One year"),
            "row 3: a NUL byte in the id",
            "1609 on row 3 (line 4)",
            GOOD,
            1,
        ),
        BadFile(
            "many_faults.csv",
            text(
                ROWS[0], "", ",1,2,3,One year", "a,b", ROWS[1], 'x,"1\n2",3,4,One year', ROWS[2], "y,1,2,3,4,5", ROWS[3]
            ),
            "rows 2, 3, 5 and 7 are bad; line 3 is blank, row 5 spans two lines",
            "1604 on row 2 (line 4), 1601 on row 3 (line 5), 1602 on row 5 (line 7), 1601 on row 7 (line 10)",
            4,
            4,
        ),
        BadFile(
            "all_bad.csv",
            text(*(r.replace(",", ",x", 1) for r in ROWS)),
            "tenure is text on every row",
            "1602 on every row",
            0,
            GOOD,
        ),
    ]


def warned() -> list[BadFile]:
    """Files that are scored whole, with a warning."""
    return [
        one_warning(
            "unseen_category.csv", "0099-XXXXX,5,20.5,102.5,Three year", "a contract unseen in training", "1653"
        ),
        one_warning("out_of_range.csv", "0099-XXXXX,500,20.5,10250,Two year", "tenure 500, above max", "1651"),
        one_warning("missing_value.csv", "0099-XXXXX,5,NA,102.5,One year", "MonthlyCharges is a missing word", "1652"),
        one_warning("padded.csv", "0099-XXXXX, 5 ,20.5,102.5, One year ", "blanks around cells", "1654"),
        one_warning(
            "spelt_otherwise.csv", "0099-XXXXX,5,20.5,102.5,one year", "another spelling of a category", "1654"
        ),
        one_warning("number_thousands.csv", '0099-XXXXX,50,20.5,"1,025.00",One year', "a thousands separator", "1657"),
        one_warning("number_currency.csv", "0099-XXXXX,5,€20.5,102.5,One year", "a currency sign", "1657"),
        one_warning("duplicate_id.csv", ROWS[0], "the id of row 1 again", "1655"),
    ]


def good_in_unusual_formats() -> list[BadFile]:
    """Good files in unusual formats."""
    semicolons = [r.replace(",", ";") for r in (HEADER, *ROWS)]
    quoted = ['"' + r.replace(",", '","') + '"' for r in (HEADER, *ROWS)]
    return [
        BadFile(
            "good_bom_crlf_semicolons.csv",
            b"\xef\xbb\xbf" + text(*semicolons[1:], header=semicolons[0], end="\r\n"),
            "byte order mark, CRLF, semicolons, as Excel writes in Europe",
            "none",
            GOOD,
        ),
        BadFile("good_tabs.csv", text(*ROWS).replace(b",", b"\t"), "tabs", "none", GOOD),
        BadFile("good_pipes.csv", text(*ROWS).replace(b",", b"|"), "pipes", "none", GOOD),
        BadFile("good_quoted.csv", text(*quoted[1:], header=quoted[0]), "every cell quoted", "none", GOOD),
        BadFile("good_no_final_newline.csv", text(*ROWS)[:-1], "no newline at the end", "none", GOOD),
        BadFile(
            "good_blank_lines.csv",
            text(*ROWS[:3], "", *ROWS[3:], "", ""),
            "blank lines between and at the end",
            "none",
            GOOD,
        ),
        BadFile(
            "good_blank_total.csv",
            with_row("0099-XXXXX,0,20.5,,Two year"),
            "a blank TotalCharges at tenure 0",
            "none",
            GOOD + 1,
        ),
        BadFile("good_gzip.csv.gz", gzip.compress(text(*ROWS), mtime=0), "gzip", "none", GOOD),
    ]


def good_columns() -> list[BadFile]:
    """Files that are good, with columns named or ordered in another way, or more of them."""
    return [
        BadFile(
            "good_header_names.csv",
            text(*ROWS, header="Customer ID,Tenure,monthly_charges,TOTAL CHARGES,contract"),
            "the names in other case, with blanks and underscores",
            "none",
            GOOD,
        ),
        BadFile(
            "good_aliases.csv",
            text(*ROWS, header="account_id,months,monthly_fee,total_spend,contract_type"),
            "aliases",
            "none",
            GOOD,
        ),
        BadFile(
            "good_reordered.csv",
            text(
                *(",".join([*r.split(",")[::-1], "kept"]) for r in ROWS),
                header=",".join([*HEADER.split(",")[::-1], "note"]),
            ),
            "another order and an unused column",
            "none",
            GOOD,
        ),
        BadFile(
            "good_multiline_note.csv",
            text(*(r + f',"line one\nline ""two"", {i}"' for i, r in enumerate(ROWS)), header=HEADER + ",note"),
            "an unread column with newlines, commas and doubled quotes",
            "none",
            GOOD,
        ),
    ]


INTRODUCTION = """# Golden bad files

Written by `testdata/train/make_samples.py`; do not edit. Five telecom columns and the same six good rows everywhere;
the bad row is the third. Rows are counted from 1 after the header, without blank lines; lines are counted from 1 at the
header. The code is the expected one of the file or the row; "scored" and "rejected" are the rows of an accepted file.

`index.json` has the same for tests: `codes` are all expected codes, in the order of `code` below.

Too large for the repository, so generated by the tests: 1002 (bytes, rows), 1010 (a row above 1 MiB), 1011 (unpacked
size).
"""
SECTIONS = [
    ("Refused as a whole", lambda: header_faults() + framing_faults()),
    ("Some rows rejected", rows_rejected),
    ("Scored with a warning", warned),
    ("Good, in unusual formats", lambda: good_in_unusual_formats() + good_columns()),
]


def write(folder: Path) -> None:
    folder.mkdir(parents=True)
    parts, index = [INTRODUCTION], []
    for title, make in SECTIONS:
        files = make()
        for file in files:
            (folder / file.name).write_bytes(file.content)
            index.append(entry(title, file))
        parts.append(f"## {title}\n\n{table(files)}\n")
    (folder / "README.md").write_text("\n".join(parts), encoding="utf-8")
    lines = ",\n  ".join(json.dumps(e, ensure_ascii=False) for e in index)
    (folder / "index.json").write_text(f"[\n  {lines}\n]\n", encoding="utf-8")


def entry(kind: str, file: BadFile) -> dict:
    codes = [int(c) for c in re.findall(r"\b1\d{3}\b", file.expected)]
    return {"file": file.name, "kind": kind, "codes": codes, "scored": file.scored, "rejected": file.rejected}


def table(files: list[BadFile]) -> str:
    head = ["| file | what | code | scored | rejected |", "|---|---|---|---|---|"]
    return "\n".join(head + [f"| {f.name} | {f.about} | {f.expected} | {f.scored} | {f.rejected} |" for f in files])
