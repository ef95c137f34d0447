"""The model versions that answer: loaded beside the old ones, proven, then put in their place."""

import hashlib
import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from lakehouse.errors import LakehouseError
from ml.encoding.rows import RowEncoder
from ml.model.bundle import WEIGHTS, Bundle, read_files
from ml.provenance.digests_here import require_here
from ml.serving.golden import proven_blocks
from ml.serving.registry import Aliases, Registered, Registry
from ml.serving.schema import Request, Served, request_model
from ml.tracking.names import CHALLENGER, CHAMPION

_log = logging.getLogger(__name__)
_WATCH_SECONDS = 1.0


@dataclass(frozen=True)
class Loaded:
    """A version that can score.

    Args:
        blocks: rows of a forward pass, proven to give batch scoring's bits.
        request: the type of a request's body.
    """

    registered: Registered
    bundle: Bundle
    blocks: tuple[int, ...]
    request: type[Request]

    @cached_property
    def encoder(self) -> RowEncoder:
        """For single rows."""
        return RowEncoder(self.bundle.encoding)

    @property
    def version(self) -> str:
        """Of the registered model."""
        return self.registered.version


def load(of: Served, registered: Registered, max_rows: int) -> Loaded:
    """Read a version, compare it with what was registered and what its run wrote, and prove its block size.

    Raises:
        LakehouseError: a file is missing, or was replaced.
    """
    torch.set_num_threads(1)
    files = read_files(registered.folder)
    found = hashlib.sha256(files[WEIGHTS]).hexdigest()
    if found != registered.digest:
        raise LakehouseError(
            f"the weights of {registered.name} version {registered.version} have the SHA-256 {found}, "
            f"but {registered.digest} was registered",
            "its files were changed: restore them, or promote another version",
        )
    # Whoever may write to MLflow can replace what was registered, too.
    require_here(registered.run_id, files)
    bundle = Bundle.from_files(files)
    return Loaded(registered, bundle, proven_blocks(bundle), request_model(of, bundle.encoding, max_rows))


@dataclass(frozen=True)
class InService:
    """The versions of one spec at a moment; a request that began with them ends with them."""

    champion: Loaded | None = None
    challenger: Loaded | None = None


class Models:
    """The versions of some specs, as the registry's aliases have them.

    Args:
        specs: what is served, by the spec's name.
        with_challenger: whether challengers are loaded too.
    """

    def __init__(
        self, specs: Sequence[Served], registry: Registry, max_rows: int, *, with_challenger: bool
    ) -> None:
        self.specs: Mapping[str, Served] = {each.spec.name: each for each in specs}
        self.problems: dict[str, str] = {}
        self._registry = registry
        self._max_rows = max_rows
        self._aliases = (CHAMPION, CHALLENGER) if with_challenger else (CHAMPION,)
        self._in_service = {name: InService() for name in self.specs}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="aliases", daemon=True)

    def __getitem__(self, spec: str) -> InService:
        return self._in_service[spec]

    def start(self) -> None:
        """Load what is there now, and follow the aliases from then on."""
        self.look()
        self._thread.start()

    def close(self) -> None:
        """Follow no more."""
        self._stop.set()
        self._thread.join()
        self._registry.close()

    def look(self) -> None:
        """Ask for the aliases once, and load what is new; what cannot be loaded leaves the old one."""
        for name, of in self.specs.items():
            problems: list[str] = []
            try:
                wanted = self._registry.aliases(of.spec.registered_model)
                self._in_service[name] = self._follow(of, self._in_service[name], wanted, problems)
            except Exception as error:  # noqa: BLE001 - whatever it is, the next look may succeed
                problems.append(_said(error))
            said = "; ".join(problems)
            if said and self.problems.get(name) != said:
                _log.error("%s: %s", name, said)
            if said:
                self.problems[name] = said
            else:
                self.problems.pop(name, None)

    def _watch(self) -> None:
        while not self._stop.wait(_WATCH_SECONDS):
            self.look()

    def _follow(self, of: Served, before: InService, wanted: Aliases, problems: list[str]) -> InService:
        """The versions that are wanted now. A champion that is gone goes on until another one comes.

        Args:
            problems: is told which could not be loaded, and why; one does not keep the other out.
        """
        known = [each for each in (before.champion, before.challenger) if each is not None]

        def find(alias: str) -> Loaded | None:
            registered = wanted.get(alias) if alias in self._aliases else None
            if isinstance(registered, LakehouseError):
                problems.append(f"{alias}: {registered.what}")
                # Of which version it is the files, nobody can say now.
                return None
            if registered is None:
                return None
            there = next((each for each in known if each.registered == registered), None)
            return there or self._load(of, registered, alias, problems)

        return InService(find(CHAMPION) or before.champion, find(CHALLENGER))

    def _load(self, of: Served, registered: Registered, alias: str, problems: list[str]) -> Loaded | None:
        try:
            loaded = load(of, registered, self._max_rows)
        except Exception as error:  # noqa: BLE001 - files may be damaged in any way
            problems.append(f"version {registered.version}: {_said(error)}")
            return None
        _log.info(
            "%s: version %s is the %s from now on, in blocks of %s rows",
            *(of.spec.name, loaded.version, alias, " or ".join(map(str, loaded.blocks))),
        )
        return loaded


def _said(error: Exception) -> str:
    return error.what if isinstance(error, LakehouseError) else f"{type(error).__name__}: {error}"
