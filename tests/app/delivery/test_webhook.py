"""The webhook's signature and its errors."""

import json

import httpx
import pytest
import standardwebhooks

from app.delivery.webhook import Webhook, signature
from app.errors import DeliveryFailed
from app.settings import WebhookSettings

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_the_signature_is_that_of_the_specifications_example() -> None:
    body = b'{"test": 2432232314}'
    assert signature(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body) == (
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


async def test_an_event_is_signed_and_a_changed_one_is_not_genuine() -> None:
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(204)

    settings = WebhookSettings(url="http://receiver/hook", secret=SECRET)
    await Webhook(settings, httpx.MockTransport(answer)).send("job.done", {"job": "1"}, "1-1")
    assert json.loads(sent[0].content)["data"] == {"job": "1"}
    headers, body = dict(sent[0].headers), sent[0].content
    # The specification's own library, as a receiver uses it.
    receiver = standardwebhooks.Webhook(SECRET)
    assert receiver.verify(body, headers)["type"] == "job.done"
    for changed_body, changed in ((body + b" ", {}), (body, {"webhook-id": "2"}), (body, {"webhook-timestamp": "1"})):
        with pytest.raises(standardwebhooks.WebhookVerificationError):
            receiver.verify(changed_body, {**headers, **changed})


@pytest.mark.parametrize(("status", "permanent"), [(400, True), (410, True), (408, False), (429, False), (500, False)])
async def test_only_refusals_that_will_not_change_are_permanent(status: int, permanent: bool) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(status))
    with pytest.raises(DeliveryFailed) as caught:
        await Webhook(WebhookSettings(url="http://receiver"), transport).send("job.done", {}, "1")
    assert caught.value.permanent is permanent


@pytest.mark.parametrize(
    "secret", ["", "short", "whsec_", "whsec_abc", "whsec_" + "A" * 16, "whsec_no base64 at all, not a bit", "x" * 23]
)
def test_a_secret_that_can_be_guessed_or_is_no_base64_is_refused_at_the_start(secret: str) -> None:
    with pytest.raises(ValueError, match="webhook's secret"):
        WebhookSettings(url="https://receiver/hook", secret=secret)  # type: ignore[arg-type]


@pytest.mark.parametrize("secret", ["x" * 24, "whsec_" + "A" * 32])
def test_a_secret_of_24_bytes_is_taken(secret: str) -> None:
    assert WebhookSettings(url="https://receiver/hook", secret=secret).doubts == []  # type: ignore[arg-type]


def test_what_a_receiver_cannot_rely_on_is_said() -> None:
    assert len(WebhookSettings(url="http://receiver/hook").doubts) == 2
    with pytest.raises(ValueError, match="not signed"):
        WebhookSettings(url="http://receiver/hook", require_protected=True)
    assert WebhookSettings(url="https://receiver/hook", secret="x" * 24, require_protected=True).doubts == []  # type: ignore[arg-type]
    assert WebhookSettings(require_protected=True).doubts == []
    assert WebhookSettings().doubts == []
