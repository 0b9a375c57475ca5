"""The pages without scripts: their texts, their guards, and their agreement with the API."""

from __future__ import annotations

import html
import re

import httpx
import pytest

from fixtures.sandbox.app.templates import price
from tests.selftest.sandbox.running_app import DEPLOYMENT, RunningApp

PUBLIC = {
    "/": ["7p Platformuna Hoş Geldiniz!", "Giriş Yap", "Hesap Oluştur", "Kontrol Paneli"],
    "/login": ["7P Education Giriş", 'type="email"', 'type="password"', "Giriş Yap", "Kayıt olun"],
    "/register": ["Yeni hesap oluşturun", 'id="fullName"', 'id="confirmPassword"', "Hesap oluştur"],
    "/marketplace": ["Kurs Mağazası", "Detay", "₺", "Ücretsiz"],
    "/auth/verification-error": ["E-posta Doğrulama"],
}
PERSONAL = {
    "/dashboard": ["Kontrol Paneli", "Kayıtlı Kursların", "Hızlı Erişim", "Son Eklenen Materyaller", "Çıkış Yap"],
    "/courses": ["Kurslarım", "Henüz Satın Alınmış Eğitim Yok!"],
    "/settings": ["Kişisel Bilgiler", "Platform Ayarları", "Bildirimler", "Güvenlik", "Faturalandırma"],
}


def _text(answer: httpx.Response) -> str:
    assert answer.status_code == 200
    return html.unescape(answer.text)


@pytest.mark.parametrize("path", PUBLIC)
def test_public_pages_say_what_a_user_looks_for(client: httpx.Client, path: str) -> None:
    """The text is Turkish, every asset names the deployment, and nothing comes from another host."""
    text = _text(client.get(path))
    addresses = re.findall(r'(?:src|href)="([^"#]+)"', text)
    assets = [address for address in addresses if address.startswith(("/_next/", "/images/"))]

    assert [wanted for wanted in PUBLIC[path] if wanted not in text] == []
    assert '<html lang="tr">' in text
    assert [address for address in addresses if not address.startswith("/")] == []
    assert [asset for asset in assets if not asset.endswith(f"?dpl={DEPLOYMENT}")] == []
    assert [asset for asset in assets if client.get(asset).status_code != 200] == []


@pytest.mark.parametrize("path", PERSONAL)
def test_personal_pages_say_what_a_student_looks_for(student: httpx.Client, path: str) -> None:
    """A signed-in student finds the text of each page."""
    text = _text(student.get(path))

    assert [wanted for wanted in PERSONAL[path] if wanted not in text] == []


def test_images_keep_their_room(client: httpx.Client) -> None:
    """Without width and height the page would jump while they load."""
    images = [image for path in PUBLIC for image in re.findall(r"<img [^>]+>", _text(client.get(path)))]

    assert [image for image in images if " width=" not in image or " height=" not in image] == []


def test_the_marketplace_shows_what_the_api_lists(client: httpx.Client) -> None:
    """Titles, prices and number are the same; a bad query shows the first page."""
    data = client.get("/api/courses").json()["data"]
    text = _text(client.get("/marketplace"))

    assert f"Kurslar ({data['total']})" in text
    assert re.findall(r"<h3[^>]*>(.*?)</h3>", text) == [course["title"] for course in data["courses"]]
    assert re.findall(r'class="amount">(.*?)<', text) == [price(course["price"]) for course in data["courses"]]
    assert (
        re.findall(r"<h3[^>]*>(.*?)</h3>", _text(client.get("/marketplace?page=x")))[0] == data["courses"][0]["title"]
    )


def test_an_offer_is_bought_or_taken_for_free(app: RunningApp, client: httpx.Client) -> None:
    """A course with a price offers both ways; a free course, or free enrolment, offers the second."""
    paid = _text(client.get(f"/marketplace/{app.course(free=False)['slug']}"))
    free = _text(client.get(f"/marketplace/{app.course(free=True)['slug']}"))
    app.build.environment["FEATURE_ENROLL_FREE"] = "false"
    closed = _text(client.get(f"/marketplace/{app.course(free=False)['slug']}"))

    ways = [[way in text for way in ("Şimdi Satın Al", "Ücretsiz Al", "Kursa Git")] for text in (paid, free, closed)]
    assert ways == [[True, True, False], [False, True, False], [True, False, False]]
    assert "Kurs İçeriği" in paid


def test_lessons_open_to_the_enrolled_only(app: RunningApp, student: httpx.Client) -> None:
    """Other users are redirected to the offer; a completed lesson is shown as completed."""
    course = app.course(free=False)
    places = app.lessons(course["id"])
    paths = [f"/courses/{course['slug']}/modules/{module}/lessons/{lesson}" for module, lesson in places]
    turned_away = [student.get(path) for path in (paths[0], f"/courses/{course['slug']}")]
    student.post("/api/enroll/free", json={"courseId": course["id"], "code": app.enrolment_code})
    before = _text(student.get(paths[0]))
    done = {"lesson_id": places[0][1], "time_spent_minutes": 1, "video_watch_percentage": 100}
    student.post(f"/api/student/progress/lesson?course_id={course['id']}", json=done)
    overview = _text(student.get(f"/courses/{course['slug']}"))

    assert {answer.headers["location"] for answer in turned_away} == {f"/marketplace/{course['slug']}"}
    assert [wanted for wanted in ("Sorular ve Cevaplar", "Materyaller", "Kursa Dön") if wanted not in before] == []
    assert (">Tamamla<" in before, f'href="{paths[1]}">Sonraki Ders' in before) == (True, True)
    assert ">Tamamlandı<" in _text(student.get(paths[0]))
    assert "Sonraki Ders" not in _text(student.get(paths[-1]))
    assert [path for path in paths if f'href="{path}"' not in overview] == []
    assert ("İlerleme" in overview, overview.count(">Tamamlandı<")) == (True, 1)
    assert "Kursa Git" in _text(student.get(f"/marketplace/{course['slug']}"))
    assert student.get(paths[0] + "x").status_code == 404


def test_the_purchase_page_sells_only_while_payments_are_on(app: RunningApp, student: httpx.Client) -> None:
    """The page shows a notice and no button when payments are disabled."""
    path = f"/courses/{app.course(free=False)['id']}/purchase"
    selling = _text(student.get(path))
    app.deploy(payments_mode="disabled")
    closed = _text(student.get(path))

    assert ("Pay with Stripe Checkout" in selling, "Ödemeler şu anda kapalı" in selling) == (True, False)
    assert ("Pay with Stripe Checkout" in closed, "Ödemeler şu anda kapalı" in closed) == (False, True)
    assert student.get("/courses/not-a-uuid/purchase").status_code == 404


def test_the_administration_is_for_admins(app: RunningApp, student: httpx.Client) -> None:
    """A student is sent to the dashboard."""
    with app.client("admin") as admin:
        assert "Yönetici Paneli" in _text(admin.get("/admin/dashboard"))
    assert student.get("/admin/dashboard").headers["location"] == "/dashboard"


def test_what_users_write_is_shown_as_text(app: RunningApp, client: httpx.Client) -> None:
    """A title with markup does not become markup, neither on the card nor in the lesson's frame."""
    course = app.course(free=False)
    title = app.rows("SELECT title FROM public.courses WHERE id = %s", course["id"])[0][0]
    app.rows("UPDATE public.courses SET title = %s WHERE id = %s", "<script>alert(1)</script>", course["id"])
    try:
        text = client.get(f"/marketplace/{course['slug']}").text
    finally:
        app.rows("UPDATE public.courses SET title = %s WHERE id = %s", title, course["id"])

    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)" in text
