"""Texts with what Vermilion makes of them: what any copy of the model must make of them, too."""

from __future__ import annotations

from typing import Any

from vermilion.world.predictor import Predictor, decided_rows

# Scripts, cases, signs and spaces on which tokenizers differ.
UNICODE = (
    "where is my card?",
    "Wo ist meine Straße? ÄÖÜ ß",
    "naïve café déjà vu e\u0301 Å",
    "I ❤️ emoji 🏳️‍🌈 👩‍👩‍👧",
    "我的银行卡在哪里？",
    "カードをなくしました ガギグ",
    "بطاقتي ضاعت",
    "मेरा कार्ड कहाँ है",
    "한국어 텍스트 입니다",
    "ไทยไม่มีช่องว่าง",
    "ＦＵＬＬ ｗｉｄｔｈ ﬁne 𝒳𝓎𝓏 𠮷野家 a𣻃𦁕b",
    "Σίσυφος ΟΔΥΣΣΕΎΣ İstanbul ıI ǅ",
    "ca\u00adrd zero\u200bwidth \ufeff mark",
    "  leading and  double   spaces \u00a0\u3000\u2028",
    "line\nbreak\ttab\r\n",
    "don't e-mail me: a_b@c.com, $5.00! — “quotes”…",
    "1234567890 1,000.50 ½ ² Ⅷ",
    "[CLS] hello [SEP] [MASK] <s> </s> <unk>",
    "x" * 150,
    "a longer text that says the same thing again and again, " * 60,
)
MOST_LABELS = 20
TOLERANCE = 1e-4
# int8 changes vectors by a thousandth and probabilities by some hundredths.
INT8_TOLERANCE = 0.1


def golden_texts(predictor: Predictor) -> tuple[str, ...]:
    """Return texts of many scripts, and names and meanings of the first labels, each once."""
    labels = predictor.model.labels[:MOST_LABELS]
    own = [label.meaning or label.name.replace("_", " ") for label in labels]
    return tuple(dict.fromkeys((*UNICODE, *own)))


def golden_rows(predictor: Predictor, tokens: list[list[list[int]]]) -> list[dict[str, Any]]:
    """Return a row for each of `golden_texts`: text, tokens, vector, probabilities, decision.

    Parameters
    ----------
    predictor : Predictor
    tokens : list of list of list of int
        Of each text, by each encoder.
    """
    texts = golden_texts(predictor)
    vectors = predictor.encoder.encode(texts)
    proba = predictor.predict_proba(vectors)
    decided = decided_rows(predictor.model, proba)
    wide = predictor.model.spread(proba)
    return [
        {
            "text": text,
            "tokens": own,
            "vector": [round(value, 7) for value in vector.tolist()],
            "probabilities": [round(value, 7) for value in shares.tolist()],
            "decision": {name: value for name, value in row.items() if name != "candidates"},
        }
        for text, own, vector, shares, row in zip(texts, tokens, vectors, wide, decided, strict=True)
    ]
