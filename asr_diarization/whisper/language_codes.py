"""The codes under which the world knows Whisper's languages, and Whisper's own."""

from __future__ import annotations

import re
from collections.abc import Container

_PRIMARY_SUBTAG = re.compile(r"([a-z]{2,3})(?:[-_.@].*)?")
"""Of a BCP 47 tag or a POSIX locale: `pt-BR`, `pt_BR.UTF-8`."""

_THREE_LETTERS = """
af afr, am amh, ar ara arb, as asm, az aze azj, ba bak, be bel, bg bul, bn ben, bo bod tib, br bre,
bs bos, ca cat, cs ces cze, cy cym wel, da dan, de deu ger, el ell gre, en eng, es spa, et est ekk,
eu eus baq, fa fas per pes, fi fin, fo fao, fr fra fre, gl glg, gu guj, ha hau, haw haw, he heb,
hi hin, hr hrv, ht hat, hu hun, hy hye arm, id ind, is isl ice, it ita, ja jpn, jw jav, ka kat geo,
kk kaz, km khm, kn kan, ko kor, la lat, lb ltz, ln lin, lo lao, lt lit, lv lav lvs, mg mlg plt,
mi mri mao, mk mkd mac, ml mal, mn mon khk, mr mar, ms msa may zsm, mt mlt, my mya bur,
ne nep npi, nl nld dut, nn nno, no nor nob, oc oci, pa pan, pl pol, ps pus pbt pbu, pt por,
ro ron rum, ru rus, sa san, sd snd, si sin, sk slk slo, sl slv, sn sna, so som, sq sqi alb als,
sr srp, su sun, sv swe, sw swa swh, ta tam, te tel, tg tgk, th tha, tk tuk, tl tgl fil, tr tur,
tt tat, uk ukr, ur urd, uz uzb uzn, vi vie, yi yid ydd, yo yor, yue yue, zh zho chi cmn
"""
"""Whisper's codes, each with those of ISO 639-3 and of the older 639-2 that mean the language."""
_TWO_LETTERS = {"jv": "jw", "nb": "no", "iw": "he", "in": "id", "ji": "yi", "mo": "ro"}
"""Codes of today and of old for which Whisper has another one."""
_CODES = _TWO_LETTERS | {
    code: whisper for whisper, *codes in map(str.split, _THREE_LETTERS.split(",")) for code in codes
}


def find_code(language: str, known: Container[str]) -> str | None:
    """Whisper's code of a language, in any case; None if it is not one of `known`.

    It may be a code or token of Whisper, an English name, a code of ISO 639-1 to 639-3, or a tag
    with a region or script, of which the primary subtag counts (`en-US`, `pt_BR`, `zh-Hant-TW`).
    """
    from transformers.models.whisper.tokenization_whisper import TO_LANGUAGE_CODE

    wanted = language.strip().strip("<|>").lower()
    tag = _PRIMARY_SUBTAG.fullmatch(wanted)
    primary = tag[1] if tag else wanted
    code = TO_LANGUAGE_CODE.get(wanted) or _CODES.get(primary, primary)
    if code == "yue" and code not in known:
        code = "zh"  # models older than large-v3 have one code for all of Chinese
    return code if code in known else None
