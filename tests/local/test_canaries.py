"""Each patch is needed by ministack as it comes, and does what it says."""

from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import pytest

from invalidations_cli.local import patches, server
from invalidations_cli.local.settings import ALL_PATCHES, LocalSettings
from tests.local import behaviours, behaviours_of_instruments, behaviours_of_resources
from tests.local.conftest import Emulators
from tests.local.instruments.control import INSTRUMENTS

pytestmark = [pytest.mark.local, pytest.mark.xdist_group("emulators")]


@pytest.mark.parametrize("name", [*ALL_PATCHES, *(name.rpartition(".")[2] for name in INSTRUMENTS)])
def test_ministack_needs_the_patch_and_the_patch_helps(name: str, emulators: Emulators) -> None:
    told_of = (behaviours, behaviours_of_resources, behaviours_of_instruments)
    behaves = next(getattr(module, name) for module in told_of if hasattr(module, name))
    with ThreadPoolExecutor(2) as both:
        plain, patched = both.map(behaves, (emulators.plain, emulators.patched))
    assert not plain, f"ministack does by itself what the patch {name} is for: take it out"
    assert patched, f"the patch {name} does not do what it is for"


def test_every_patch_is_a_module_and_every_module_a_patch() -> None:
    modules = {path.stem for path in (server.ROOT / "invalidations_cli/local/patches").glob("*.py")} - {"__init__"}
    assert modules == set(ALL_PATCHES)


def test_another_version_of_ministack_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patches, "VERSION", "0.0.1")
    with pytest.raises(patches.PatchDoesNotFit, match=r"are for 0\.0\.1.*Install ministack==0\.0\.1"):
        patches.apply(LocalSettings())


def test_a_seam_that_has_changed_is_refused_by_name() -> None:
    module = ModuleType("ministack.services.example")
    module.__dict__["text"] = "changed"
    with pytest.raises(patches.PatchDoesNotFit, match=r"ministack\.services\.example\.text is not what"):
        patches.seam(module, "text", patches.fingerprint("as it was"))
    with pytest.raises(patches.PatchDoesNotFit, match="nothing"):
        patches.seam(module, "gone", patches.fingerprint("as it was"))
