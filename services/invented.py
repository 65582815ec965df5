"""Who and what an invented programme is made of: lands with their offices and names, host centres, certification schemes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Land:
    """A sending country: its office and centres, and how its people are called."""

    country: str
    zone: str
    office: str
    centres: Mapping[str, str]
    """English titles by code."""
    language: str
    women: Sequence[tuple[str, str]]
    """(as it is written there, in Latin letters)."""
    men: Sequence[tuple[str, str]]
    families: Sequence[tuple[str, str]]
    """None where people have no family names."""
    family_first: bool = False


LANDS: Final = (
    Land(
        "KH", "Asia/Phnom_Penh", "/offices/kh/skills-department",
        {"kh-riverside": "Riverside Polytechnic", "kh-angkor": "Angkor Technical School"}, "km",
        women=(("សុភា", "Sophea"), ("ស្រីមុំ", "Sreymom"), ("ចន្ថា", "Chantha"), ("បុប្ផា", "Bopha"), ("កល្យាណ", "Kalyan"),
               ("រតនា", "Ratana"), ("ធារី", "Theary"), ("មាលា", "Mealea"), ("សុជាតា", "Socheata"), ("លក្ខិណា", "Leakhena")),
        men=(("ពិសិដ្ឋ", "Piseth"), ("មុនី", "Mony"), ("វិជ្ជា", "Vichea"), ("សុវណ្ណ", "Sovann"), ("ដារ៉ា", "Dara"),
             ("វុទ្ធី", "Vuthy"), ("រិទ្ធី", "Rithy"), ("បូរ៉ា", "Bora"), ("សំណាង", "Samnang"), ("ណារិទ្ធ", "Narith")),
        families=(("សុខ", "Sok"), ("ចាន់", "Chan"), ("លី", "Ly"), ("សៀង", "Sieng"), ("កែវ", "Keo"), ("ហេង", "Heng"),
                  ("ឈឹម", "Chhim"), ("ម៉ៅ", "Mao"), ("នួន", "Nuon"), ("ទេព", "Tep"), ("អ៊ុក", "Ouk"), ("ប៉ែន", "Pen")),
        family_first=True,
    ),
    Land(
        "LA", "Asia/Vientiane", "/offices/la/skills-department",
        {"la-mekong": "Mekong Technical College", "la-plain": "Plain of Jars Vocational School"}, "lo",
        women=(("ມະນີວັນ", "Manivanh"), ("ດວງໃຈ", "Duangchay"), ("ຄຳຫຼ້າ", "Khamla"), ("ສຸພາພອນ", "Souphaphone"), ("ບົວວັນ", "Bouavanh"),
               ("ພອນທິບ", "Phonethip"), ("ວິໄລ", "Vilay"), ("ຈັນສຸກ", "Chansouk")),
        men=(("ສົມຊາຍ", "Somxay"), ("ບຸນມີ", "Bounmy"), ("ຄຳພອນ", "Khamphone"), ("ສຸລິຍາ", "Souliya"), ("ທອງດີ", "Thongdy"),
             ("ພູວົງ", "Phouvong"), ("ສີທອງ", "Sithong"), ("ອານຸສັກ", "Anousack")),
        families=(("ພົມມະຈັນ", "Phommachanh"), ("ໄຊຍະວົງ", "Xayavong"), ("ແກ້ວມະນີ", "Keomany"), ("ສີສຸວັນ", "Sisouvanh"),
                  ("ວົງສາ", "Vongsa"), ("ອິນທະວົງ", "Inthavong"), ("ຈັນທະລາ", "Chanthala"), ("ບຸບຜາ", "Boupha")),
    ),
    Land(
        "MM", "Asia/Yangon", "/offices/mm/skills-department",
        {"mm-delta": "Delta Technical Institute", "mm-hills": "Shan Hills Training Centre"}, "my",
        women=(("သီတာ", "Thida"), ("ခင်", "Khin"), ("မြ", "Mya"), ("အေး", "Aye"), ("စန္ဒာ", "Sandar"), ("နီလာ", "Nilar"),
               ("ဖြူ", "Phyu"), ("နွယ်", "Nwe"), ("စု", "Su"), ("ဝေ", "Wai")),
        men=(("အောင်", "Aung"), ("မင်း", "Min"), ("ကျော်", "Kyaw"), ("ဇော်", "Zaw"), ("သူ", "Thu"), ("လင်း", "Lin"),
             ("ထွန်း", "Htun"), ("ဝင်း", "Win"), ("နိုင်", "Naing"), ("ဖြိုး", "Phyo")),
        families=(),
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Host:
    """A centre that receives cohorts."""

    centre: str
    title: str
    country: str
    zone: str
    language: str

    @property
    def office(self) -> str:
        return f"/offices/{self.country.lower()}/{self.centre}"


HOSTS: Final = (
    Host("harbour-institute", "Harbour Institute of Technicians", "CN", "Asia/Shanghai", "en"),
    Host("lakeside-college", "Lakeside Technical College", "CN", "Asia/Shanghai", "zh-Hans"),
    Host("tonle-centre", "Tonle Regional Training Centre", "KH", "Asia/Phnom_Penh", "km"),
)
COORDINATOR: Final = "/offices/cn/programme-office"
CHINA: Final = ZoneInfo("Asia/Shanghai")


@dataclass(frozen=True, slots=True)
class Scheme:
    """A certification scheme and the awarding body's office."""

    code: str
    title: str
    office: str
    rule: str
    levels: Sequence[str]
    occupations: Mapping[str, tuple[str, str]]
    """The scheme's own code and the ISCO-08 code, by trade."""


SCHEMES: Final = (
    Scheme(
        "harbour-levels", "Harbour Vocational Skill Levels", "/offices/cn/skills-appraisal", "by_awarding_body",
        ("junior", "intermediate", "senior"),
        {"electrical-installation": ("6-31-01-03", "7411"), "information-network-cabling": ("4-04-02-02", "7422")},
    ),
    Scheme(
        "regional-modules", "Regional Module Certificates", "/offices/kh/competence-board", "on_pass",
        ("module-1", "module-2", "module-3"),
        {"welding": ("wel", "7212"), "refrigeration": ("ref", "7127")},
    ),
)  # fmt: skip
