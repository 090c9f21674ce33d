"""GA4's Admin API: audiences and user-scoped custom dimensions of a property are looked up and made, users are deleted.

Nothing is made twice: what has that name already is looked for first, and again after an answer that was lost. An
audience can be archived there, and never be changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from tenacity import Retrying

from microconv.clients import analytics_failures as failures
from microconv.clients.analytics_access import Access, AnalyticsClient, opened
from microconv.clients.analytics_failures import Asked
from microconv.errors import needs_extra

if TYPE_CHECKING:
    from google.analytics.admin_v1alpha import AnalyticsAdminServiceClient

_PAGE = 200


class AnalyticsAdmin(AnalyticsClient):
    """The Admin API of one property.

    Raises:
        UsageError: Its package is not installed.
    """

    def __init__(self, access: Access, asked: Asked, *, retrying: Retrying | None = None) -> None:
        """Take how to reach it, as `AnalyticsClient`, once its package is there."""
        super().__init__(access, asked, retrying=retrying)
        try:
            import google.analytics.admin_v1alpha  # noqa: F401 - looked for, and used by the methods
        except ImportError:
            raise needs_extra("GA4's Admin API", "ga4") from None

    def audiences(self) -> dict[str, str]:
        """Return the resource names of the audiences that are not archived, by the names people see.

        Raises:
            MicroconvError: They cannot be had.
        """
        from google.analytics.admin_v1alpha import ListAudiencesRequest

        request = ListAudiencesRequest(parent=self._parent, page_size=_PAGE)
        return self._patiently(
            lambda: {
                each.display_name: each.name
                for each in self._client.list_audiences(request, retry=None, timeout=self.access.timeout_seconds)
            }
        )

    def make_audience(self, definition: Mapping[str, Any]) -> tuple[str, bool]:
        """Make an audience, unless there is one of that name; return its resource name, and whether it was made now.

        Raises:
            MicroconvError: It could not be made.
        """
        from google.analytics.admin_v1alpha import Audience, CreateAudienceRequest

        request = CreateAudienceRequest(parent=self._parent, audience=Audience(dict(definition)))
        return self._made(
            lambda: self.audiences().get(definition["display_name"]),
            lambda: self._client.create_audience(request, retry=None, timeout=self.access.timeout_seconds).name,
        )

    def user_dimensions(self) -> dict[str, str]:
        """Return the resource names of the user-scoped custom dimensions, by their user properties.

        Raises:
            MicroconvError: They cannot be had.
        """
        from google.analytics.admin_v1alpha import CustomDimension, ListCustomDimensionsRequest

        request = ListCustomDimensionsRequest(parent=self._parent, page_size=_PAGE)
        return self._patiently(
            lambda: {
                each.parameter_name: each.name
                for each in self._client.list_custom_dimensions(
                    request, retry=None, timeout=self.access.timeout_seconds
                )
                if each.scope == CustomDimension.DimensionScope.USER
            }
        )

    def make_user_dimension(self, user_property: str) -> tuple[str, bool]:
        """Make a user-scoped custom dimension of a user property, unless there is one, as `make_audience` does.

        Raises:
            MicroconvError: It could not be made.
        """
        from google.analytics.admin_v1alpha import CreateCustomDimensionRequest, CustomDimension

        dimension = CustomDimension(
            parameter_name=user_property,
            display_name=user_property,
            description="Who is in a segment of microconv.",
            scope=CustomDimension.DimensionScope.USER,
        )
        request = CreateCustomDimensionRequest(parent=self._parent, custom_dimension=dimension)
        return self._made(
            lambda: self.user_dimensions().get(user_property),
            lambda: self._client.create_custom_dimension(request, retry=None, timeout=self.access.timeout_seconds).name,
        )

    def delete_user(self, kind: Literal["user_id", "client_id", "app_instance_id"], value: str) -> datetime:
        """Ask for the deletion of all that GA4 has of a user or device; return the moment from which on it counts.

        To ask again changes nothing.

        Raises:
            MicroconvError: It was not taken.
        """
        from google.analytics.admin_v1alpha import SubmitUserDeletionRequest

        request = SubmitUserDeletionRequest(name=self._parent, **{kind: value})
        answer = self._patiently(
            lambda: self._client.submit_user_deletion(request, retry=None, timeout=self.access.timeout_seconds)
        )
        at: datetime = answer.deletion_request_time
        return at

    def _made(self, find: Callable[[], str | None], make: Callable[[], str]) -> tuple[str, bool]:
        if found := find():
            return found, False
        try:
            return make(), True
        except Exception as failure:
            # An answer that was lost says nothing of what it answered.
            if failures.is_passing(failure) and (found := find()):
                return found, True
            raise self._in_our_words(failure) from failure

    @cached_property
    def _client(self) -> AnalyticsAdminServiceClient:
        from google.analytics.admin_v1alpha import AnalyticsAdminServiceClient
        from google.analytics.admin_v1alpha.services.analytics_admin_service.transports import (
            AnalyticsAdminServiceGrpcTransport,
            AnalyticsAdminServiceRestTransport,
        )

        over = (AnalyticsAdminServiceGrpcTransport, AnalyticsAdminServiceRestTransport)
        return opened(AnalyticsAdminServiceClient, *over, self.access, self._asked)
