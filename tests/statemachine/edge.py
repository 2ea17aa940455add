"""CloudFront's invalidations as CloudFront keeps them: in progress for a while, one for each caller reference.

moto's are completed from the start, and it creates another one however often the same request comes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
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

    def paths(self, distribution_id: str) -> list[list[str]]:
        """The paths of each invalidation of a distribution, oldest first."""
        return [sorted(each.paths) for each in self._of(distribution_id)]

    def ids(self, distribution_id: str) -> list[str]:
        return [each.id for each in self._of(distribution_id)]

    def caller_references(self, distribution_id: str) -> list[str]:
        return [each.caller_ref for each in self._of(distribution_id)]

    def _of(self, distribution_id: str) -> list[Invalidation]:
        return [each for each in self.created if each.distribution.distribution_id == distribution_id]

    def create(self, invalidation: Invalidation) -> Invalidation:
        invalidation.status = "InProgress"
        self.created.append(invalidation)
        return invalidation

    def poll(self, invalidation: Invalidation) -> Invalidation:
        if self._polled[invalidation.id] >= self.polls:
            invalidation.status = "Completed"
        self._polled[invalidation.id] += 1
        return invalidation


@contextmanager
def kept_by(edge: Edge) -> Iterator[None]:
    """moto's invalidations behave as CloudFront's."""
    create, get = CloudFrontBackend.create_invalidation, CloudFrontBackend.get_invalidation

    def create_invalidation(
        backend: CloudFrontBackend, dist_id: str, paths: list[str], caller_ref: str
    ) -> Invalidation:
        for existing in backend.list_invalidations(dist_id=dist_id)[0]:
            if existing.caller_ref == caller_ref:
                if sorted(existing.paths) != sorted(paths):
                    # CloudFront's code is InvalidationBatchAlreadyExists, which is in no model; moto raises what is.
                    raise CloudFrontException("InvalidArgument", "InvalidationBatchAlreadyExists: other paths")
                return existing
        return edge.create(create(backend, dist_id, paths, caller_ref))

    def get_invalidation(backend: CloudFrontBackend, dist_id: str, id: str) -> Invalidation:  # noqa: A002 # moto's name
        return edge.poll(get(backend, dist_id, id))

    def random_id(*, uppercase: bool = True, length: int = 13) -> str:
        return "E" + new_id(uppercase=uppercase, length=length)[1:]  # as CloudFront's own begin; moto's with anything

    new_id = models.random_id
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "random_id", random_id)
        patch.setattr(CloudFrontBackend, "create_invalidation", create_invalidation)
        patch.setattr(CloudFrontBackend, "get_invalidation", get_invalidation)
        yield
