"""What may be wrong with a request about webhooks."""

from __future__ import annotations

from api.problems import Problem


class TooManyWebhooks(Problem):
    """The organisation has as many webhooks as it may."""

    status, slug, title = 409, "too-many-webhooks", "The organisation has too many webhooks"


class WebhookDisabled(Problem):
    """Nothing is sent to a webhook that is disabled."""

    status, slug, title = 409, "webhook-disabled", "The webhook is disabled"
