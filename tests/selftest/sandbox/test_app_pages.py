"""The pages without a browser: documents, shells, the content that a script fetches, guards, agreement with the API."""

from __future__ import annotations

import html
import re

import httpx
import pytest

from fixtures.sandbox.app.templates import price
from tests.selftest.sandbox.running_app import DEPLOYMENT, RunningApp

RENDERED = {
    "/": ["7p Platformuna Hoş Geldiniz!", "Giriş Yap", "Hesap Oluştur", "Kontrol Paneli"],
    "/login": ["7P Education Giriş", 'type="email"', 'type="password"', "🚀 Giriş Yap", "Kayıt olun"],
    "/register": ["Yeni hesap oluşturun", 'id="fullName"', 'id="confirmPassword"', "Hesap oluştur"],
    "/auth/verification-success": ["7P Education", "E-posta Doğrulandı! 🎉"],
}
SHELLS = {
    "/marketplace": "Kontrol Paneli Yükleniyor",
    "/marketplace/kurumsal-satis": "Kontrol Paneli Yükleniyor",
    "/courses": "Kontrol Paneli Yükleniyor",
    "/courses/kurumsal-satis": "Kontrol Paneli Yükleniyor",
    "/settings": "Kontrol Paneli Yükleniyor",
    "/auth/reset-password": "Loading...",
    "/auth/verify-email": "Yükleniyor...",
}
PERSONAL = {
    "/dashboard": ["Kontrol Paneli", "Kayıtlı Kursların", "Hızlı Erişim", "Son Eklenen Materyaller", "Çıkış Yap"],
    "/courses": ["Kurslarım", "Henüz Satın Alınmış Eğitim Yok! 🎓"],
    "/settings": ["Kişisel Bilgiler", "Platform Ayarları", "Bildirimler", "Güvenlik", "Faturalandırma"],
    "/student/materials": ["Materyallerim", "Materyallerde ara..."],
    "/marketplace": ["Kurs Mağazası", "Detay", "₺", "Ücretsiz"],
    "/marketplace/bilinmeyen": ["Kurs Bulunamadı", "Mağazaya Dön"],
}


def _text(answer: httpx.Response) -> str:
    assert answer.status_code == 200
    return html.unescape(answer.text)


def _content(client: httpx.Client, path: str) -> str:
    """Return what a page's script puts into the shell."""
    answer = client.get(path, headers={"rsc": "1"})
    assert answer.headers["content-type"].startswith("text/x-component")
    return _text(answer)


def _leads(client: httpx.Client, path: str) -> str:
    """Return the path to which the script of a page is sent; "" when it gets content."""
    found = re.fullmatch(r'<template data-leads="(.*)"></template>', _content(client, path))
    return found[1] if found else ""


@pytest.mark.parametrize("path", RENDERED)
def test_pages_of_the_server_say_what_a_user_looks_for(client: httpx.Client, path: str) -> None:
    """The text is Turkish, every asset names the deployment, nothing comes from another host, no cookie is set."""
    answer = client.get(path)
    text = _text(answer)
    addresses = re.findall(r'(?:src|href)="([^"#]+)"', text)
    assets = [address for address in addresses if address.startswith(("/_next/", "/images/"))]

    assert [wanted for wanted in RENDERED[path] if wanted not in text] == []
    assert ('<html lang="tr">' in text, "<title>7P Eğitim Platformu - " in text) == (True, True)
    assert [address for address in addresses if not address.startswith("/")] == []
    assert [asset for asset in assets if not asset.endswith(f"?dpl={DEPLOYMENT}")] == []
    assert [asset for asset in assets if client.get(asset).status_code != 200] == []
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("path", SHELLS)
def test_a_shell_is_the_same_for_everyone(client: httpx.Client, student: httpx.Client, path: str) -> None:
    """It asks to wait, and has neither a landmark nor an h1 nor anything personal."""
    shell = _text(client.get(path))

    assert SHELLS[path] in shell
    assert ("<main" in shell, "<h1" in shell) == (False, False)
    assert student.get(path).text == client.get(path).text


@pytest.mark.parametrize("path", PERSONAL)
def test_the_content_says_what_a_student_looks_for(student: httpx.Client, path: str) -> None:
    """A signed-in student finds the text of each page, inside the main landmark of the frame."""
    text = _content(student, path)

    assert [wanted for wanted in PERSONAL[path] if wanted not in text] == []
    assert text.count("<h1") == (1 if "bilinmeyen" in path else 2)


def test_content_needs_a_session(client: httpx.Client, student: httpx.Client) -> None:
    """A stranger's script is sent to the sign-in; a request ahead of a click brings nothing."""
    ahead = student.get("/courses", headers={"rsc": "1", "next-router-prefetch": "1"})

    assert {_leads(client, path) for path in ("/marketplace", "/courses", "/settings")} == {"/login"}
    assert (ahead.status_code, ahead.text) == (200, "")


@pytest.mark.parametrize("path", ["/dashboardx", "/student/unknown", "/admin/unknown", "/dashboard?page=2"])
def test_the_server_guards_whole_prefixes(client: httpx.Client, student: httpx.Client, path: str) -> None:
    """The way to the sign-in comes before everything else, and names the path without its query."""
    answer = client.get(path)
    bare = path.partition("?")[0].replace("/", "%2F")

    assert (answer.status_code, answer.headers["location"]) == (307, f"/login?callbackUrl={bare}")
    assert student.get(path).status_code == (200 if path.startswith("/dashboard?") else 404)


def test_a_document_that_is_known_is_not_sent_again(client: httpx.Client) -> None:
    """Prerendered pages have an ETag and may be kept at the edge; pages of one course may not."""
    first = client.get("/login")
    again = client.get("/login", headers={"if-none-match": first.headers["etag"]})

    assert (first.headers["cache-control"], again.status_code) == ("s-maxage=31536000", 304)
    assert "no-store" in client.get("/marketplace/kurumsal-satis").headers["cache-control"]


def test_images_keep_their_room(student: httpx.Client) -> None:
    """Without width and height the page would jump while they load."""
    pages = [_text(student.get("/")), _content(student, "/marketplace")]
    images = [image for page in pages for image in re.findall(r"<img [^>]+>", page)]

    assert [image for image in images if " width=" not in image or " height=" not in image] == []


def test_the_marketplace_shows_what_the_api_lists(student: httpx.Client) -> None:
    """Titles, prices and number are the same; a bad query shows the first page."""
    data = student.get("/api/courses").json()["data"]
    text = _content(student, "/marketplace").partition("<main")[2]

    assert f"Kurslar ({data['total']})" in text
    assert re.findall(r"<h3>(.*?)</h3>", text) == [course["title"] for course in data["courses"]]
    assert re.findall(r'class="amount">(.*?)<', text) == [price(course["price"]) for course in data["courses"]]
    assert data["courses"][0]["title"] in _content(student, "/marketplace?page=x")


def test_an_offer_is_bought_or_taken_for_free(app: RunningApp, student: httpx.Client) -> None:
    """A course with a price offers both ways; a free course, or free enrolment, offers the second."""
    paid = _content(student, f"/marketplace/{app.course(free=False)['slug']}")
    free = _content(student, f"/marketplace/{app.course(free=True)['slug']}")
    app.build.environment["FEATURE_ENROLL_FREE"] = "false"
    closed = _content(student, f"/marketplace/{app.course(free=False)['slug']}")

    ways = [[way in text for way in ("Şimdi Satın Al", "Ücretsiz Al", "Kursa Git")] for text in (paid, free, closed)]
    assert ways == [[True, True, False], [False, True, False], [True, False, False]]
    assert "Kurs İçeriği" in paid


def test_lessons_open_to_the_enrolled_only(app: RunningApp, student: httpx.Client) -> None:
    """Other users are led to the offer; a completed lesson is shown as completed."""
    course = app.course(free=False)
    places = app.lessons(course["id"])
    paths = [f"/courses/{course['slug']}/modules/{module}/lessons/{lesson}" for module, lesson in places]
    led = {_leads(student, path) for path in (paths[0], f"/courses/{course['slug']}")}
    student.post("/api/enroll/free", json={"courseId": course["id"], "code": app.enrolment_code})
    before = _content(student, paths[0])
    done = {"lesson_id": places[0][1], "time_spent_minutes": 1, "video_watch_percentage": 100}
    student.post(f"/api/student/progress/lesson?course_id={course['id']}", json=done)
    overview = _content(student, f"/courses/{course['slug']}")

    assert led == {f"/marketplace/{course['slug']}"}
    assert [wanted for wanted in ("Sorular ve Cevaplar", "Materyaller", "Sonraki Ders") if wanted not in before] == []
    assert (">Tamamla<" in before, f'data-goes="{paths[1]}">Sonraki Ders' in before) == (True, True)
    assert ">Tamamlandı<" in _content(student, paths[0])
    assert "Sonraki Ders" not in _content(student, paths[-1])
    assert [path for path in paths if f'href="{path}"' not in overview] == []
    assert ("İlerleme" in overview, overview.count(">Tamamlandı<")) == (True, 1)
    assert "Kursa Git" in _content(student, f"/marketplace/{course['slug']}")
    assert "Ders Bulunamadı" in _content(student, paths[0] + "x")


def test_the_purchase_page_sells_only_while_payments_are_on(app: RunningApp, student: httpx.Client) -> None:
    """It leads back to the course at once when payments are disabled; a stranger has to sign in first."""
    course = app.course(free=False)["id"]
    path = f"/courses/{course}/purchase"
    selling = _content(student, path)
    with app.client() as stranger:
        assert "Sign In to Purchase" in _content(stranger, path)
    app.deploy(payments_mode="disabled")

    assert "Pay with Stripe Checkout" in selling
    assert _leads(student, path) == f"/courses/{course}?payments=disabled"
    assert _leads(student, "/courses/not-a-uuid/purchase") == "/courses"


def test_the_administration_is_for_admins(app: RunningApp, student: httpx.Client) -> None:
    """A student's script is sent to the dashboard, or gets a refusal."""
    with app.client("admin") as admin:
        assert "Sistem Durumu" in _content(admin, "/admin/dashboard")
        assert "Payment Management" in _content(admin, "/admin/payments")
        moved = admin.get("/admin")
    assert (moved.status_code, moved.headers["location"]) == (308, "/admin/dashboard")
    assert _leads(student, "/admin/dashboard") == "/dashboard"
    assert "Access Denied" in _content(student, "/admin/payments")
    assert student.get("/admin/users").headers["x-admin-access"] == "restricted"


def test_what_users_write_is_shown_as_text(app: RunningApp, student: httpx.Client) -> None:
    """A title with markup does not become markup, neither on the card nor in the lesson's frame."""
    course = app.course(free=False)
    title = app.rows("SELECT title FROM public.courses WHERE id = %s", course["id"])[0][0]
    app.rows("UPDATE public.courses SET title = %s WHERE id = %s", "<script>alert(1)</script>", course["id"])
    try:
        text = student.get(f"/marketplace/{course['slug']}", headers={"rsc": "1"}).text
    finally:
        app.rows("UPDATE public.courses SET title = %s WHERE id = %s", title, course["id"])

    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)" in text
