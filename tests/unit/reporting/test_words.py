"""What is counted has the readers' words, and they say what the rules say."""

from services.reporting import wording
from services.reporting.domain import DIMENSIONS, EXCEPTIONS, MEASURES
from services.reporting.rates import RATES
from shared.pages.languages import language


def test_every_measure_rate_and_dimension_has_its_words() -> None:
    counts = {name: measure.counts for name, measure in {**MEASURES, **EXCEPTIONS}.items()}
    assert {name: wording.MEANINGS[name] for name in counts} == counts
    assert {name: wording.MEANINGS[name] for name in RATES} == {name: rate.says for name, rate in RATES.items()}
    assert wording.NAMES.keys() >= wording.MEANINGS.keys()
    assert wording.DIMENSIONS.keys() >= DIMENSIONS.keys()


def test_values_are_read_as_words_where_they_are_some() -> None:
    english = language("en")
    assert wording.value(english, "country", "LA") == "Laos"
    assert wording.value(english, "sex", "F") == "women"
    assert wording.value(english, "age_band", "Y15T24") == "15–24"
    assert wording.value(english, "month", "2025-04") == "Apr 2025"
    assert wording.value(english, "level", "_Z") == "does not apply"
    assert wording.value(english, "trade", "<b>") == "<b>", "escaped where it is shown"
    assert wording.value(language("zh-Hans"), "country", "KH") == "柬埔寨"
