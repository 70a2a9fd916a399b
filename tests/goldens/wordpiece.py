"""wordpiece.json: the ids that BertTokenizer gives for written and drawn texts. wordpiece_small.json and
wordpiece_bert.json: a hash of the ids of each of 10,000 texts that tests/models/wordpiece_texts.h draws as text_of()
does. Needs MG_DATA_DIR (text/bert-base-uncased-vocab.txt, wlasl_demo/manifest.csv).

The tokenizer's Unicode tables are of about 2015, utf8proc's of 2021: they disagree on some 700 younger characters (marks,
format characters and punctuation, and four whose category has changed: U+166D, U+1734, U+111C9, U+16FE2). POOLS has none
of them."""
import csv
import os
import pathlib
import random

import transformers
from shared import VERSIONS, hashed_bits, write

POOLS = {
    "ascii": [(0x20, 0x7E)], "latin": [(0xA1, 0x17F), (0x1E00, 0x1EFF)], "marks": [(0x61, 0x7A), (0x300, 0x36F)],
    "greek": [(0x391, 0x3A1), (0x3A3, 0x3CE), (0x1F00, 0x1F15)], "cyrillic": [(0x400, 0x45F)],
    "hebrew": [(0x5D0, 0x5EA), (0x5B0, 0x5BD)], "arabic": [(0x620, 0x655)], "devanagari": [(0x904, 0x94D)],
    "thai": [(0xE01, 0xE3A), (0xE40, 0xE4E)], "hangul": [(0xAC00, 0xD7A3)], "kana": [(0x3041, 0x3096), (0x30A1, 0x30FA)],
    "cjk": [(0x4E00, 0x9FFF), (0x3400, 0x34FF), (0x20000, 0x20100), (0xF900, 0xF9FF)],
    "emoji": [(0x1F600, 0x1F64F), (0x1F466, 0x1F469), (0x200D, 0x200D), (0xFE0F, 0xFE0F), (0x1F3FB, 0x1F3FF)],
    "punctuation": [(0x2010, 0x2027), (0x2030, 0x205E), (0x3001, 0x3011)], "symbols": [(0x20A0, 0x20BF), (0x2190, 0x22FF)],
    "space": [(0x09, 0x0D), (0x20, 0x20), (0x85, 0x85), (0xA0, 0xA0), (0x2000, 0x200A), (0x2028, 0x202F), (0x3000, 0x3000)],
    "control": [(0x00, 0x1F), (0x7F, 0x9F), (0xAD, 0xAD), (0x200B, 0x200F), (0xE000, 0xE010), (0xFEFF, 0xFEFF), (0xFFFD, 0xFFFD)],
    "fullwidth": [(0xFF01, 0xFF5E)], "math": [(0x1D400, 0x1D433)],
}
# For the 10,000 texts besides.
MORE_POOLS = {
    "lowercase": [(0x61, 0x7A)], "capitals": [(0x41, 0x5A), (0xC0, 0xD6), (0xD8, 0xDE)], "digits": [(0x30, 0x39)],
    "armenian": [(0x531, 0x556), (0x561, 0x587)], "georgian": [(0x10A0, 0x10C5), (0x10D0, 0x10FA)],
    "bengali": [(0x985, 0x98C), (0x9BE, 0x9CD)], "tamil": [(0xB83, 0xBCD)], "tibetan": [(0xF40, 0xF6C), (0xF71, 0xF84)],
    "ethiopic": [(0x1200, 0x1248)], "khmer": [(0x1780, 0x17D3)], "cherokee": [(0x13A0, 0x13F4)], "runes": [(0x16A0, 0x16EA)],
    "jamo": [(0x1100, 0x1112), (0x1161, 0x1175), (0x11A8, 0x11C2)], "letterlike": [(0x2100, 0x214F), (0x2160, 0x2188)],
    "superscripts": [(0x2070, 0x2071), (0x2074, 0x208E)], "extension": [(0x2A700, 0x2A7FF), (0x2B740, 0x2B81D), (0x2B900, 0x2B93F)],
    "compatibility": [(0x2F800, 0x2FA1D), (0xFB00, 0xFB06)], "deseret": [(0x10400, 0x1044F)],
    "emoji signs": [(0x1F300, 0x1F5FF), (0x1F680, 0x1F6C5), (0x1F1E6, 0x1F1FF)],
}
WRITTEN = [
    "", " ", "Touching or scratching head", "Playing with jewelry, and manipulating other objects",
    "Turtle neck", "a\u0301 e\u0300 \u00e9\u00c9 \u0130stanbul STRASSE stra\u00dfe \ufb01n", "\u4f60\u597d\u4e16\u754c hello\u4e16",
    "caf\u00e9 na\u00efve \u00c5ngstr\u00f6m \u0160koda", "don't can't it's", "e-mail@example.com $5.00 50% #tag [x] {y} ~a`b^c_d|e",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 family", "tab\tnew\nline\rreturn", "nul\x00byte bell\x07 soft\u00adhyphen",
    "a" * 100, "a" * 101, "b" * 250 + " tail", "\u00e9" * 100, "\u00e9" * 101, "supercalifragilisticexpialidocious", "1234567890 3.14",
    "\u0e44\u0e17\u0e22 \u0939\u093f\u0928\u094d\u0926\u0940 \ud55c\uad6d\uc5b4", "...!!!???", "\u201cquoted\u201d \u2014 dash\u2026", "UPPER lower MiXeD",
    "word " * 150, "\u03a3\u0391\u03a3 \u03c3\u03b1\u03c2", "\ufeffbom", "x\u200by zero width", "\u1e9e \u01c5 \u01f1",
    "[MASK] touching [SEP]head [cls]", "[PAD][PAD]", "[[UNK]]", "touch[MASK]ing", "[CLS", "[ SEP]", "[MASK]" * 120, "[MA\u0301SK]",
]
GESTURES = """Turtle neck; Bulging face or deep breath; Touch hat; Touching or scratching head; Touching or scratching forehead;
Cover face; Rubbing eyes; Touching or scratching facial parts; Touching ears; Biting nails; Touching jaw; Touching or
scratching neck; Playing or adjusting hair; Buckle button, pulling shirt collar, adjusting tie; Touching or covering
suprasternal notch; Scratching back; Folding arms; Dustoffing clothes; Putting arms behind body; Moving torso; Sitting
straightly; Scratching or touching arms; Rubbing or holding hands; Crossing fingers; Minaret gesture; Playing or manipulating
objects; Hold back arms; Head up; Pressing lips; Arms akimbo; Shaking shoulders; Illustrative hand gestures; Turtling neck and
shoulder; Moving legs; Crossing legs; Scratching some part of body; Holding arms; Pulling shirt collar; Playing with jewelry,
and manipulating other objects; Rubbing hands and crossing finger"""
SPECIAL = ["[MASK]", "[SEP]", "[CLS]", "[PAD]", "[UNK]", "[cls]", "[mask]", "[ MASK]", "[MASK", "SEP]", "[[SEP]]", "[MASK][MASK]"]
BETWEEN = [" ", " ", " ", " ", " ", " ", "", "", "  ", "\t", "\n", "\u00a0", "\u3000", "-", ", ", "_"]
TEXTS = 10000
MAX_LENGTH = 200


class Draws:
    def __init__(self, name):
        self.bits = iter(map(int, hashed_bits(name, 16384)))

    def __call__(self, below):
        return (next(self.bits) >> 33) * below >> 31


def character_of(pool, draw):
    index = draw(sum(last - first + 1 for first, last in pool))
    for first, last in pool:
        if index <= last - first:
            return chr(first + index)
        index -= last - first + 1


def drawn_word(pools, count, draw):
    """All of one pool, or each character of its own."""
    mixed, pool = draw(3) == 0, draw(len(pools))
    return "".join(character_of(pools[draw(len(pools)) if mixed else pool], draw) for _ in range(count))


def text_of(number, words, pools):
    draw = Draws(f"wordpiece {number}")
    kind = draw(100)
    count = 0 if kind == 0 else 60 + draw(60) if kind == 1 else 1 + draw(8)
    text = ""
    for i in range(count):
        if i > 0:
            text += BETWEEN[draw(len(BETWEEN))]
        kind = draw(20)
        if kind < 7:
            text += words[draw(len(words))]
        elif kind < 9:
            text += SPECIAL[draw(len(SPECIAL))]
        elif kind == 9:
            text += drawn_word(pools, 95 + draw(12), draw)
        else:
            text += drawn_word(pools, 1 + draw(9), draw)
    return text


def written_and_drawn():
    generator = random.Random(7)
    texts = list(WRITTEN)
    pools = [[chr(c) for first, last in ranges for c in range(first, last + 1)] for ranges in POOLS.values()]
    for i in range(300):
        mix = [pools[i % len(pools)]] if i < 3 * len(pools) else generator.sample(pools, 3) + [pools[0]]
        words = ["".join(generator.choice(generator.choice(mix)) for _ in range(generator.randint(1, 9)))
                 for _ in range(generator.randint(1, 6))]
        texts.append(" ".join(words))
    return texts


def small_vocabulary():
    letters = [chr(c) for c in range(97, 123)] + list("0123456789.,-'") + ["\u4f60", "\u03c3", "\u0e44", "\u1112", "\u1161"]
    return ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *("##" + c for c in letters),
            "touch", "##ing", "head", "scratch", "or", "##tle", "tur", "neck", "##na", "cafe", "##ss", "he", "##ll", "##llo",
            "T", "Tou", "##\u00e9", "\u00e9", "P", "[", "]"]


def ids_of(vocabulary, lowercase, texts):
    tokenizer = transformers.BertTokenizer(vocab={token: i for i, token in enumerate(vocabulary)}, do_lower_case=lowercase)
    assert tokenizer.vocab_size == len(vocabulary), (tokenizer.vocab_size, len(vocabulary))
    return [ids for start in range(0, len(texts), 1000)
            for ids in tokenizer(texts[start:start + 1000], truncation=True, max_length=MAX_LENGTH)["input_ids"]]


def hash_of(ids):
    value = 0x811C9DC5
    for number in ids:
        for byte in number.to_bytes(4, "little"):
            value = (value ^ byte) * 0x01000193 % 2**32
    return f"{value:08x}"


def make():
    data = pathlib.Path(os.environ["MG_DATA_DIR"])
    bert = (data / "text/bert-base-uncased-vocab.txt").read_text(encoding="utf-8").split("\n")[:-1]
    small = small_vocabulary()
    with open(data / "wlasl_demo/manifest.csv", newline="") as file:
        signs = sorted({row["label"] for row in csv.DictReader(file)})
    words = [" ".join(name.split()) for name in GESTURES.split(";")] + signs
    pools = [list(ranges) for ranges in (POOLS | MORE_POOLS).values()]

    texts = written_and_drawn()
    ids = {name: ids_of(vocabulary, lowercase, texts) for name, vocabulary, lowercase in (
        ("small", small, True), ("small cased", small, False), ("bert", bert, True), ("bert cased", bert, False))}
    cases = [{"text": text, **{name: ids[name][i] for name in ids}} for i, text in enumerate(texts)]
    write("wordpiece.json", {"versions": VERSIONS, "max_length": MAX_LENGTH, "small_vocabulary": small, "words": words,
                             "special": SPECIAL, "between": BETWEEN, "pools": pools, "cases": cases})

    texts = [text_of(i, words, pools) for i in range(TEXTS)]
    for name, vocabulary in (("small", small), ("bert", bert)):
        both = zip(*(ids_of(vocabulary, lowercase, texts) for lowercase in (True, False)))
        hashes = "".join(hash_of(uncased + cased) for uncased, cased in both)
        write(f"wordpiece_{name}.json", {"versions": VERSIONS, "hashes": hashes})
