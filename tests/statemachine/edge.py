"""CloudFront's invalidations as CloudFront keeps them: in progress for a while, one for each caller reference.

moto's are completed from the start, and it creates another one however often the same request comes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from moto.cloudfront import models
from moto.cloudfront.exceptions import CloudFrontException
from moto.cloudfront.models import CloudFrontBackend, Invalidation


@dataclass
class Edge:
    """What tests decide about invalidations, and what they ask.

    ``polls`` GetInvalidation calls find an invalidation in progress, the next one completed.
    """

    polls: int = 1
    created: list[Invalidation] = field(default_factory=list)
    _polled: Counter[str] = field(default_factory=Counter)
    _failures: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def fail(self, call: str, distribution_id: str, code: str, times: int = 1) -> None:
        """Let the next calls for a distribution be answered with an error code."""
        self._failures.setdefault((call, distribution_id), []).extend([code] * times)

    def paths(self, distribution_id: str) -> list[list[str]]:
        """The paths of each invalidation of a distribution, oldest first."""
        return [sorted(each.paths) for each in self.created if each.distribution.distribution_id == distribution_id]

    def caller_references(self) -> list[str]:
        return [each.caller_ref for each in self.created]

    def create(self, invalidation: Invalidation) -> Invalidation:
        invalidation.status = "InProgress"
        self.created.append(invalidation)
        return invalidation

    def poll(self, invalidation: Invalidation) -> Invalidation:
        if self._polled[invalidation.id] >= self.polls:
            invalidation.status = "Completed"
        self._polled[invalidation.id] += 1
        return invalidation

    def raise_if_asked(self, call: str, distribution_id: str) -> None:
        failures = self._failures.get((call, distribution_id))
        if failures:
            raise CloudFrontException(failures.pop(0), "as the test has asked for")


@contextmanager
def kept_by(edge: Edge) -> Iterator[None]:
    """moto's invalidations behave as CloudFront's."""
    create, get = CloudFrontBackend.create_invalidation, CloudFrontBackend.get_invalidation

    def create_invalidation(
        backend: CloudFrontBackend, dist_id: str, paths: Sequence[str], caller_ref: str
    ) -> Invalidation:
        edge.raise_if_asked("CreateInvalidation", dist_id)
        for existing in backend.list_invalidations(dist_id=dist_id)[0]:
            if existing.caller_ref == caller_ref:
                if sorted(existing.paths) != sorted(paths):
                    raise CloudFrontException("InvalidationBatchAlreadyExists", "other paths, same reference")
                return existing
        return edge.create(create(backend, dist_id, paths, caller_ref))

    def get_invalidation(backend: CloudFrontBackend, dist_id: str, id: str) -> Invalidation:  # noqa: A002 # moto's name
        edge.raise_if_asked("GetInvalidation", dist_id)
        return edge.poll(get(backend, dist_id, id))

    def random_id(*, uppercase: bool = True, length: int = 13) -> str:
        return "E" + new_id(uppercase=uppercase, length=length)[1:]  # as CloudFront's own begin; moto's with anything

    new_id = models.random_id
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "random_id", random_id)
        patch.setattr(CloudFrontBackend, "create_invalidation", create_invalidation)
        patch.setattr(CloudFrontBackend, "get_invalidation", get_invalidation)
        yield
