"""What runs before the first request on a GPU."""

from app.engine.fake import FakeEngine
from app.engine.protocol import Kind
from app.engine.warmup import generations, warm_up
from tests.support.service import bundle_in_memory


async def test_it_runs_as_every_number_of_sequences_down_to_one() -> None:
    bundle = bundle_in_memory()
    engine = FakeEngine(bundle.vocabulary)
    await warm_up(engine.generate, bundle, 5)
    assert [generation.sampling.max_tokens for generation in engine.generations] == [1, 2, 3, 4, 5]
    assert engine.running == 0


def test_it_samples_as_the_bundle_draws() -> None:
    bundle = bundle_in_memory()
    for generation in generations(bundle, 3):
        assert generation.kind is Kind.IMAGE
        assert generation.sampling.temperature == bundle.manifest.decoding.draw.temperature
        assert generation.sampling.top_p == bundle.manifest.decoding.draw.top_p


def test_none_is_longer_than_an_image() -> None:
    bundle = bundle_in_memory()
    lengths = [generation.sampling.max_tokens for generation in generations(bundle, 2 * bundle.image_tokens)]
    assert (min(lengths), max(lengths)) == (1, bundle.image_tokens)
