"""Prices are read in any format; another number is another price."""

from __future__ import annotations

import pytest

from fixtures.model.money import contradicts

RIGHT = (
    *((1499, text) for text in ("₺1.499", "1.499,00 TL", "TRY 1,499.00", "1 499 lira", "₺1499 Tek seferlik ödeme")),
    *((899.9, text) for text in ("₺899,90", "899.9 TL", "₺ 900", "12 ders 899,90 ₺", "₺1.124 ₺899,90")),
    # It shows no money at all: whoever owns a course needs no price.
    *((1499, text) for text in ("İzlemeye Devam Et", "28 ders, 1999 öğrenci", "")),
    # "12 499" may be one number or the end of two.
    (499, "Modül 12 499 ₺"),
)
WRONG = ((1499, "₺1.124,25"), (1499, "149900 TL"), (899.9, "₺89.990"), (1499, "14,99 TL"), (0.5, "₺1.499"))


@pytest.mark.parametrize(("price", "text"), RIGHT)
def test_every_format_of_a_price_is_right(price: float, text: str) -> None:
    """A false alarm about money undoes a good deployment."""
    assert not contradicts(price, text)


@pytest.mark.parametrize(("price", "text"), WRONG)
def test_another_number_is_another_price(price: float, text: str) -> None:
    """Students are promised one price and pay another."""
    assert contradicts(price, text)


def test_an_amount_in_the_text_of_an_editor_is_no_price() -> None:
    """A course about a budget of 500 lira does not cost them."""
    assert not contradicts(1499, "500 TL bütçeyle reklam", prose="500 TL bütçeyle reklam")
